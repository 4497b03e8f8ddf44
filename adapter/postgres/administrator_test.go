package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/postgres"
	"github.com/sneckauth/sneck/authserver/pages"
)

// Two servers on one database do not take the last administrators from each
// other.
func TestOneAdministratorIsLeft(t *testing.T) {
	ctx := t.Context()
	config := postgres.Config{Schema: schema(t)}
	stores := []*postgres.Store{open(t, config), open(t, config)}
	accounts := make([]*pages.Accounts, len(stores))
	for i, s := range stores {
		var err error
		accounts[i], err = pages.NewAccounts(s, nil)
		require.NoError(t, err)
	}
	all, errs := make([]*pages.Account, 4), make([]error, 4)
	for i := range all {
		var err error
		all[i], err = accounts[0].Create(ctx, string(rune('a'+i)), "correct horse battery")
		require.NoError(t, err)
	}
	for range 20 {
		for _, a := range all {
			require.NoError(t, accounts[0].SetAdmin(ctx, a.ID, true))
		}
		together(len(all), func(i int) { errs[i] = accounts[i%2].TakeAdmin(ctx, all[i].ID) })
		refused, left := 0, 0
		for i, a := range all {
			if errs[i] != nil {
				assert.ErrorIs(t, errs[i], pages.ErrLastAdmin)
				refused++
			}
			is, err := accounts[1].Admin(ctx, a.ID)
			require.NoError(t, err)
			if is {
				left++
			}
		}
		require.Equal(t, []int{1, 1}, []int{refused, left})
	}
}
