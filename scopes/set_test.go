package scopes_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/scopes"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		in   string
		want scopes.Set // nil with ok: empty
		ok   bool
	}{
		{"", nil, true},
		{"read", scopes.Set{"read"}, true},
		{"write read write", scopes.Set{"write", "read"}, true},
		{"  a   b ", scopes.Set{"a", "b"}, true},
		{"   ", scopes.Set{}, true},
		{"https://api.example/x!#~", scopes.Set{"https://api.example/x!#~"}, true},
		{"a\tb", nil, false},
		{"a\r\nb", nil, false},
		{`a"b`, nil, false},
		{`a\b`, nil, false},
		{"é", nil, false},
		{"a\x00", nil, false},
		{"a\x7f", nil, false},
		{"\u00a0", nil, false},
		{strings.Repeat("a ", 1000), scopes.Set{"a"}, true},
		{strings.Repeat("a ", 1001), nil, false},
	} {
		got, err := scopes.Parse(test.in)
		if !test.ok {
			assert.Error(t, err, "%q", test.in)
			continue
		}
		require.NoError(t, err, "%q", test.in)
		assert.Equal(t, test.want, got, "%q", test.in)
	}
}

func TestSet(t *testing.T) {
	set := scopes.MustParse("notes:read notes:write")
	assert.True(t, set.Has("notes:read"))
	assert.False(t, set.Has("notes"))
	assert.False(t, set.Has(""))
	assert.True(t, set.HasAll(nil))
	assert.True(t, set.HasAll(scopes.Set{"notes:write"}))
	assert.False(t, set.HasAll(scopes.Set{"notes:write", "x"}))
	assert.Equal(t, scopes.Set{"x"}, scopes.Set{"notes:write", "x"}.Without(set))
	assert.Equal(t, "notes:read notes:write", set.String())
	assert.Panics(t, func() { scopes.MustParse("\n") })
}

// What is parsed is unchanged by being printed and parsed again, and holds
// nothing that could break out of a challenge or a form.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "read", "a  b a", "a\tb", `"`, "é", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		set, err := scopes.Parse(in)
		if err != nil {
			return
		}
		again, err := scopes.Parse(set.String())
		require.NoError(t, err)
		assert.Equal(t, set.String(), again.String())
		for _, name := range set {
			assert.NoError(t, scopes.Check(name))
			assert.True(t, again.Has(name))
			assert.NotContains(t, name, " ")
		}
	})
}
