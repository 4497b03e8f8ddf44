package middleware_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// TestSettings has a test for each setting that is this package's to keep,
// and for each way to demand scopes of a route, named as users know them.
func TestSettings(t *testing.T) {
	guard := newGuard(t, nil)
	// statuses checks how requests fare: method and token, status.
	type statuses map[[2]string]int
	check := func(t *testing.T, policy middleware.Policy, want statuses) {
		t.Helper()
		for range 2 { // no state leaks from one request to the next
			for request, status := range want {
				r := do(request[0], "/")
				if request[1] != "" {
					r = do(request[0], "/", "Bearer "+request[1])
				}
				assert.Equal(t, status, serve(guard, policy, r).Code, request)
			}
		}
	}

	t.Run("error_response_with_scopes", func(t *testing.T) {
		for _, on := range []bool{false, true} {
			guard := newGuard(t, func(c *middleware.Config) { c.ErrorWithScopes = on })
			rec := serve(guard, middleware.Policy{Scopes: scopes.All("read", "write")}, get("Bearer read"))
			require.Equal(t, 403, rec.Code)
			assert.Equal(t, "read write", challengeOf(t, rec).params["scope"], "always there")
			var body map[string]any
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &body))
			assert.Equal(t, "insufficient_scope", body["error"])
			if on {
				assert.Equal(t, []any{"read", "write"}, body["required_scopes"])
			} else {
				assert.NotContains(t, body, "required_scopes")
			}
		}
	})

	t.Run("read_scope, write_scope", func(t *testing.T) {
		check(t, middleware.Policy{Scopes: scopes.ReadWrite{}.Required()},
			statuses{{"GET", "read"}: 200, {"POST", "write"}: 200, {"POST", "read"}: 403, {"GET", "write"}: 403})
		check(t, middleware.Policy{Scopes: scopes.ReadWrite{Read: "reader", Write: "admin"}.Required()},
			statuses{{"GET", "reader"}: 200, {"POST", "admin"}: 200, {"GET", "read"}: 403, {"POST", "write"}: 403})
	})

	t.Run("all scopes", func(t *testing.T) {
		check(t, middleware.Policy{Scopes: scopes.All("read", "write")},
			statuses{{"GET", "read-write"}: 200, {"GET", "read"}: 403, {"GET", "write"}: 403, {"GET", "none"}: 403})
		check(t, middleware.Policy{Scopes: scopes.AnyToken()}, statuses{{"GET", "none"}: 200, {"GET", "unknown"}: 401, {"GET", ""}: 401})
		assert.Panics(t, func() { guard.Require(scopes.All()) }, "an empty list must say what it means")
	})

	t.Run("any scope, and OR of ANDs", func(t *testing.T) {
		check(t, middleware.Policy{Scopes: scopes.Any("read", "write")},
			statuses{{"GET", "read"}: 200, {"GET", "write"}: 200, {"GET", "admin"}: 403})
		check(t, middleware.Policy{Scopes: scopes.All("read", "write").Or(scopes.All("admin"))},
			statuses{{"GET", "read-write"}: 200, {"GET", "admin"}: 200, {"GET", "read"}: 403})
	})

	t.Run("read or write by method", func(t *testing.T) {
		policy := middleware.Policy{Scopes: scopes.ReadWrite{}.Required().And(scopes.All("songs"))}
		check(t, policy, statuses{
			{"GET", "read-songs"}: 200, {"HEAD", "read-songs"}: 200, {"OPTIONS", "read-songs"}: 200,
			{"POST", "read-songs"}: 403, {"DELETE", "read-songs"}: 403, {"GET", "read"}: 403,
		})
	})

	t.Run("per resource, by method", func(t *testing.T) {
		check(t, middleware.Policy{Scopes: scopes.ReadWrite{}.Resource("songs")}, statuses{
			{"GET", "songs-read"}: 200, {"POST", "songs-write"}: 200, {"POST", "songs-read"}: 403, {"GET", "songs-write"}: 403, {"GET", "read"}: 403,
		})
	})

	t.Run("per-method alternatives, OpenAPI style", func(t *testing.T) {
		policy := middleware.Policy{Scopes: scopes.Methods(map[string]scopes.Requirement{
			"GET":  scopes.Any("read", "admin"),
			"POST": scopes.All("read", "write").Or(scopes.All("admin")),
		})}
		check(t, policy, statuses{
			{"GET", "read"}: 200, {"GET", "admin"}: 200, {"POST", "read-write"}: 200, {"POST", "admin"}: 200, {"POST", "read"}: 403,
			{"DELETE", "admin"}: 403, {"HEAD", "admin"}: 403, {"PUT", ""}: 401,
		})
	})

	t.Run("signed in by something else, or token with scope", func(t *testing.T) {
		policy := middleware.Policy{Scopes: scopes.All("write"), Otherwise: func(r *http.Request) (*sneck.Token, error) {
			if r.Header.Get("X-Test-Session") == "ann" {
				return &sneck.Token{Subject: "ann"}, nil
			}
			return nil, nil
		}}
		check(t, policy, statuses{{"GET", "write"}: 200, {"GET", "read"}: 403, {"GET", ""}: 401})
		assert.Equal(t, 200, serve(guard, policy, change(get(), set("X-Test-Session", "ann"))).Code)
		assert.Equal(t, 401, serve(guard, policy, change(get(), set("X-Test-Session", "bob"))).Code)
	})

	t.Run("client or token", func(t *testing.T) {
		policy := middleware.Policy{Scopes: scopes.All("write"), Otherwise: func(r *http.Request) (*sneck.Token, error) {
			id, secret, present := r.BasicAuth()
			switch {
			case !present:
				return nil, nil
			case id != "app" || secret != "secret":
				return nil, sneck.ErrInvalid
			}
			return &sneck.Token{ClientID: id}, nil
		}, OtherwiseChallenge: `Basic realm="clients"`}
		check(t, policy, statuses{{"GET", "write"}: 200, {"GET", "read"}: 403, {"GET", ""}: 401})
		assert.Equal(t, 200, serve(guard, policy, change(get(), func(r *http.Request) { r.SetBasicAuth("app", "secret") })).Code)
		rec := serve(guard, policy, change(get(), func(r *http.Request) { r.SetBasicAuth("app", "wrong") }))
		assert.Equal(t, 401, rec.Code)
		assert.Contains(t, rec.Header().Values("WWW-Authenticate"), `Basic realm="clients"`)
	})

	t.Run("hierarchy", func(t *testing.T) {
		h, err := scopes.NewHierarchy(map[string][]string{"admin": {"write"}, "write": {"read"}})
		require.NoError(t, err)
		check(t, middleware.Policy{Scopes: scopes.All("read").Under(h)},
			statuses{{"GET", "read"}: 200, {"GET", "write"}: 200, {"GET", "admin"}: 200, {"GET", "none"}: 403})
		_, err = scopes.NewHierarchy(map[string][]string{"admin": {"write"}, "write": {"admin"}})
		assert.Error(t, err, "acyclic")
	})

	t.Run("optional token", func(t *testing.T) {
		check(t, middleware.Policy{Scopes: scopes.AnyToken(), Optional: true},
			statuses{{"GET", ""}: 200, {"GET", "read"}: 200, {"GET", "unknown"}: 401, {"GET", "expired"}: 401, {"GET", "down"}: 503})
	})
}
