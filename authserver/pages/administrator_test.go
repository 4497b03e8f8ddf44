package pages_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

// admins returns which of the accounts may administer the server.
func admins(t *testing.T, accounts *pages.Accounts, all ...*pages.Account) (names []string) {
	t.Helper()
	names = []string{}
	for _, a := range all {
		is, err := accounts.Admin(t.Context(), a.ID)
		require.NoError(t, err)
		if is {
			names = append(names, a.Username)
		}
	}
	return names
}

func TestAdministrators(t *testing.T) {
	store, ctx := authserver.NewMemory(), t.Context()
	accounts, err := pages.NewAccounts(store, nil)
	require.NoError(t, err)
	alice, err := accounts.Create(ctx, "alice", "correct horse battery")
	require.NoError(t, err)
	bob, err := accounts.Create(ctx, "bob", "correct horse battery")
	require.NoError(t, err)
	who := func() []string { t.Helper(); return admins(t, accounts, alice, bob) }

	assert.Empty(t, who())
	require.ErrorIs(t, accounts.SetAdmin(ctx, "nobody", true), pages.ErrNoAccount)
	require.ErrorIs(t, accounts.TakeAdmin(ctx, "nobody"), pages.ErrNoAccount)
	require.NoError(t, accounts.TakeAdmin(ctx, alice.ID), "there is nothing to take")
	for range 2 {
		require.NoError(t, accounts.SetAdmin(ctx, alice.ID, true))
	}
	require.ErrorIs(t, accounts.TakeAdmin(ctx, alice.ID), pages.ErrLastAdmin)
	assert.Equal(t, []string{"alice"}, who())
	require.NoError(t, accounts.TakeAdmin(ctx, bob.ID))
	// Again and again: what was taken can be given back.
	for range 3 {
		require.NoError(t, accounts.SetAdmin(ctx, bob.ID, true))
		assert.Equal(t, []string{"alice", "bob"}, who())
		require.NoError(t, accounts.TakeAdmin(ctx, bob.ID))
		assert.Equal(t, []string{"alice"}, who())
	}
	// Two who give it at a time may have written two records.
	require.NoError(t, store.Create(ctx, authserver.Record{
		Key: authserver.KeyOf("another"), Kind: "account_admin", Family: "account " + alice.ID, Subject: "accounts of this server",
	}))
	require.ErrorIs(t, accounts.TakeAdmin(ctx, alice.ID), pages.ErrLastAdmin)
	require.NoError(t, accounts.SetAdmin(ctx, bob.ID, true))
	require.NoError(t, accounts.TakeAdmin(ctx, alice.ID))
	assert.Equal(t, []string{"bob"}, who())
	require.NoError(t, accounts.SetAdmin(ctx, bob.ID, false), "the last one")
	assert.Empty(t, who())
}

// However many are taken at a time, one stays.
func TestOneAdministratorIsLeft(t *testing.T) {
	store, ctx := authserver.NewMemory(), t.Context()
	accounts, err := pages.NewAccounts(store, nil)
	require.NoError(t, err)
	all := make([]*pages.Account, 4)
	for i := range all {
		all[i], err = accounts.Create(ctx, string(rune('a'+i)), "correct horse battery")
		require.NoError(t, err)
	}
	for range 50 {
		var refused atomic.Int64
		var group sync.WaitGroup
		for _, a := range all {
			require.NoError(t, accounts.SetAdmin(ctx, a.ID, true))
		}
		for _, a := range all {
			group.Go(func() {
				if err := accounts.TakeAdmin(ctx, a.ID); err != nil {
					assert.ErrorIs(t, err, pages.ErrLastAdmin)
					refused.Add(1)
				}
			})
		}
		group.Wait()
		assert.EqualValues(t, 1, refused.Load())
		require.Len(t, admins(t, accounts, all...), 1)
	}
}
