package scopes_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/scopes"
)

func TestHierarchy(t *testing.T) {
	h, err := scopes.NewHierarchy(map[string][]string{
		"admin": {"write", "users"},
		"write": {"read"},
		"root":  {"admin"},
		"sync":  {"read", "read"},
	})
	require.NoError(t, err)
	for _, test := range []struct {
		req    scopes.Requirement
		prints string
		met    []string
		unmet  []string
	}{
		{scopes.All("read"), "read (or sync or write or admin or root)",
			[]string{"read", "write", "admin", "root", "sync"}, []string{"", "users", "reader"}},
		{scopes.All("write"), "write (or admin or root)", []string{"write", "admin", "root"}, []string{"read", "sync"}},
		{scopes.All("root"), "root", []string{"root"}, []string{"admin write read"}},
		{scopes.All("read", "users"), "read (or sync or write or admin or root) and users (or admin or root)",
			[]string{"admin", "write users", "sync root"}, []string{"write", "users"}},
		{scopes.All("other"), "other", []string{"other"}, []string{"root"}},
		{scopes.AnyToken(), "any valid token", []string{"", "read"}, nil},
		{scopes.Requirement{}, "nothing meets this", nil, []string{"root"}},
	} {
		t.Run(test.prints, func(t *testing.T) {
			req := test.req.Under(h)
			for _, held := range test.met {
				assert.True(t, req.Met(scopes.MustParse(held)), held)
			}
			for _, held := range test.unmet {
				assert.False(t, req.Met(scopes.MustParse(held)), held)
			}
			assert.Equal(t, test.prints, req.String())
			assert.Equal(t, req.String(), req.Under(h).String(), "twice is once")
			assert.Equal(t, test.req.String(), test.req.Under(scopes.Hierarchy{}).String())
		})
	}

	both := scopes.All("write").And(scopes.All("write").Under(h))
	assert.False(t, both.Met(scopes.MustParse("admin")), "the plain demand still holds")
	assert.Equal(t, "write", both.Closest(nil).String(), "no scope twice in a challenge")

	req := scopes.All("read", "users").Under(h)
	assert.Equal(t, "users", req.Missing(scopes.MustParse("write")).String())
	assert.Equal(t, "read users", req.Closest(scopes.MustParse("write")).String())

	byMethod := scopes.ReadWrite{}.Required().Under(h)
	assert.True(t, byMethod.For("GET").Met(scopes.MustParse("write")))
	assert.False(t, byMethod.For("POST").Met(scopes.MustParse("sync")))
}

func TestHierarchyMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		includes map[string][]string
		says     []string
	}{
		"itself":      {map[string][]string{"a": {"a"}}, []string{`"a" includes itself`}},
		"circle":      {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"a"}}, []string{`"a" includes itself`, `"b"`, `"c"`}},
		"not a scope": {map[string][]string{"a b": {""}, "c": {"é"}}, []string{"' '", "must not be empty", "'Ã'"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := scopes.NewHierarchy(test.includes)
			for _, part := range test.says {
				assert.ErrorContains(t, err, part)
			}
			assert.Equal(t, scopes.Hierarchy{}, h)
		})
	}
	_, err := scopes.NewHierarchy(nil)
	assert.NoError(t, err)
}

func ExampleHierarchy() {
	h, err := scopes.NewHierarchy(map[string][]string{
		"admin": {"write"},
		"write": {"read"},
	})
	if err != nil {
		panic(err)
	}
	req := scopes.All("read").Under(h)
	fmt.Println(req)
	fmt.Println(req.Met(scopes.MustParse("admin")))
	// Output:
	// read (or write or admin)
	// true
}
