package scopes_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/scopes"
)

var _ scopes.Backend = scopes.Static{}

func TestStatic(t *testing.T) {
	songs := scopes.Described{Name: "songs:read", Text: "Hear songs"}
	for _, test := range []struct {
		name      string
		in        scopes.Static
		all       []scopes.Described
		available scopes.Set
		standard  scopes.Set
	}{
		{"zero", scopes.Static{},
			[]scopes.Described{{Name: "read", Text: "Read your data"}, {Name: "write", Text: "Change your data"}},
			scopes.Set{"read", "write"}, nil},
		{"other names to read and write", scopes.Static{Read: "r", Write: "w"},
			[]scopes.Described{{Name: "r", Text: "Read your data"}, {Name: "w", Text: "Change your data"}},
			scopes.Set{"r", "w"}, nil},
		{"list", scopes.Static{List: []scopes.Described{songs}, Defaults: scopes.Set{"songs:read"}},
			[]scopes.Described{songs}, scopes.Set{"songs:read"}, scopes.Set{"songs:read"}},
		{"empty list", scopes.Static{List: []scopes.Described{}}, []scopes.Described{}, scopes.Set{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			all, err := test.in.All(t.Context())
			require.NoError(t, err)
			assert.Equal(t, test.all, all)
			available, err := test.in.Available(t.Context(), scopes.Request{})
			require.NoError(t, err)
			assert.Equal(t, test.available, available)
			standard, err := test.in.Default(t.Context(), scopes.Request{})
			require.NoError(t, err)
			assert.Equal(t, test.standard, standard)
		})
	}
}

func TestCheckDescribed(t *testing.T) {
	require.NoError(t, scopes.CheckDescribed([]scopes.Described{{Name: "a"}, {Name: "b"}}))
	require.Error(t, scopes.CheckDescribed([]scopes.Described{{Name: "a"}, {Name: "a"}}))
	require.Error(t, scopes.CheckDescribed([]scopes.Described{{Name: "a b"}}))
}
