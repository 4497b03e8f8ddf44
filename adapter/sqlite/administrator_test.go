package sqlite_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/sqlite"
	"github.com/sneckauth/sneck/authserver/pages"
)

// Two servers on one database do not take the last administrators from each
// other.
func TestOneAdministratorIsLeft(t *testing.T) {
	ctx := t.Context()
	path := file(t)
	stores := []*sqlite.Store{open(t, path), open(t, path)}
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
		var group sync.WaitGroup
		for i := range all {
			group.Go(func() { errs[i] = accounts[i%2].TakeAdmin(ctx, all[i].ID) })
		}
		group.Wait()
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
