package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
)

// Whatever is in the Authorization header and the query: the verifier sees at
// most one token, which is exactly what follows the scheme; nothing is
// admitted without it; every answer has one well-formed challenge or none.
func FuzzAuthorization(f *testing.F) {
	for _, row := range headerGroups()[0].rows {
		fields := append(row.req.Header.Values("Authorization"), "", "")
		f.Add(fields[0], fields[1], row.req.URL.RawQuery)
	}
	f.Fuzz(func(t *testing.T, first, second, query string) {
		var asked []string
		guard := newGuard(t, func(c *middleware.Config) {
			c.Verifier = sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
				asked = append(asked, token)
				return verdicts["read"].(*sneck.Token), nil
			})
		})
		r := get()
		r.URL.RawQuery = query
		for _, field := range []string{first, second} {
			if field != "" {
				r.Header.Add("Authorization", field)
			}
		}
		rec := httptest.NewRecorder()
		reached := false
		guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })).ServeHTTP(rec, r)

		require.Equal(t, reached, len(asked) == 1)
		if reached {
			require.True(t, second == "" || first == "")
			field := first + second
			scheme, rest, _ := strings.Cut(field, " ")
			require.True(t, strings.EqualFold(scheme, "Bearer"))
			require.Equal(t, strings.TrimLeft(rest, " "), asked[0])
			require.True(t, sneck.ValidToken(asked[0]))
			return
		}
		require.Contains(t, []int{400, 401}, rec.Code)
		fields := rec.Header().Values("WWW-Authenticate")
		require.Len(t, fields, 1)
		challenges, err := parseChallenges(fields[0])
		require.NoError(t, err)
		require.Len(t, challenges, 1)
		assert.Equal(t, "Bearer", challenges[0].scheme)
	})
}
