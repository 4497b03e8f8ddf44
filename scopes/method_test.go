package scopes_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/scopes"
)

func TestByMethod(t *testing.T) {
	openAPI := scopes.Methods(map[string]scopes.Requirement{
		"GET HEAD": scopes.All("read").Or(scopes.All("admin")),
		"POST":     scopes.All("create", "write"),
		"DELETE":   scopes.AnyToken(),
	})
	for _, test := range []struct {
		req    scopes.Requirement
		prints string
		needs  map[string]string // method: what is demanded
	}{
		{scopes.ReadWrite{}.Required(), "GET HEAD OPTIONS: read; others: write", map[string]string{
			"GET": "read", "HEAD": "read", "OPTIONS": "read", "POST": "write", "PUT": "write", "PATCH": "write",
			"DELETE": "write", "TRACE": "write", "CONNECT": "write", "BREW": "write", "get": "write", "": "write",
		}},
		{scopes.ReadWrite{Read: "r", Write: "w"}.Required().And(scopes.All("songs")),
			"GET HEAD OPTIONS: r and songs; others: w and songs",
			map[string]string{"GET": "r and songs", "POST": "w and songs"}},
		{scopes.ReadWrite{}.Resource("songs"), "GET HEAD OPTIONS: songs:read; others: songs:write",
			map[string]string{"GET": "songs:read", "POST": "songs:write"}},
		{scopes.ReadWrite{Write: "change"}.Resource("songs", "tags"),
			"GET HEAD OPTIONS: songs:read and tags:read; others: songs:change and tags:change",
			map[string]string{"GET": "songs:read and tags:read", "POST": "songs:change and tags:change"}},
		{openAPI, "DELETE: any valid token; GET HEAD: read, or admin; POST: create and write; others: nothing meets this",
			map[string]string{
				"GET": "read, or admin", "HEAD": "read, or admin", "POST": "create and write", "DELETE": "any valid token",
				"PUT": "nothing meets this", "OPTIONS": "nothing meets this", "get": "nothing meets this",
			}},
		{openAPI.Or(scopes.All("root")), "DELETE: any valid token, or root; GET HEAD: read, or admin, or root; POST: create and write, or root; others: root",
			map[string]string{"GET": "read, or admin, or root", "PUT": "root"}},
	} {
		t.Run(test.prints, func(t *testing.T) {
			require.NoError(t, test.req.Check())
			assert.Equal(t, test.prints, test.req.String())
			for method, want := range test.needs {
				assert.Equal(t, want, test.req.For(method).String(), method)
				assert.Equal(t, want, test.req.For(method).For("PUT").String(), "a chosen demand is final")
			}
		})
	}
}

// A guard that forgets to choose by method refuses.
func TestNotMetBeforeFor(t *testing.T) {
	assert.False(t, scopes.ReadWrite{}.Required().Met(scopes.MustParse("read write")))
}

func TestForAllocatesNothing(t *testing.T) {
	req := scopes.ReadWrite{}.Required().And(scopes.All("songs"))
	held := scopes.MustParse("songs write")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if req.For("GET").Met(held) || !req.For("POST").Met(held) {
			t.Fail()
		}
	}))
}

func ExampleReadWrite() {
	req := scopes.ReadWrite{}.Resource("songs")
	fmt.Println(req)
	fmt.Println(req.For("DELETE"))
	// Output:
	// GET HEAD OPTIONS: songs:read; others: songs:write
	// songs:write
}

func ExampleMethods() {
	req := scopes.Methods(map[string]scopes.Requirement{
		"GET HEAD": scopes.Any("read", "admin"),
		"POST":     scopes.All("read", "create").Or(scopes.All("admin")),
	})
	held := scopes.MustParse("read")
	fmt.Println(req.For("GET").Met(held), req.For("POST").Met(held), req.For("DELETE").Met(held))
	fmt.Println(req.For("POST").Missing(held))
	// Output:
	// true false false
	// create
}
