package postgres_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/postgres"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

const (
	issuer   = "https://auth.example.com"
	callback = "https://app.example.com/cb"
	verifier = "a-verifier-that-has-at-least-43-characters-~._"
)

// endpoints returns an authorization server of its own on the shared tables,
// where alice approves everything.
func endpoints(t *testing.T, config postgres.Config) *authserver.Server {
	t.Helper()
	store := open(t, config)
	s, err := authserver.New(authserver.Config{
		Issuer: issuer, Store: store, Clients: store, Scopes: scopes.Static{},
		Login: func(http.ResponseWriter, *http.Request, *authserver.AuthorizationRequest) (*authserver.Approval, error) {
			return &authserver.Approval{Subject: "alice"}, nil
		},
	})
	require.NoError(t, err)
	require.NoError(t, store.PutClient(t.Context(), &authserver.Client{
		ID: "app", Grants: []string{authserver.GrantAuthorizationCode, authserver.GrantRefreshToken},
		RedirectURIs: []string{callback}, Scopes: scopes.Set{"read"}, Audience: []string{"api"},
	}))
	require.NoError(t, store.PutClient(t.Context(), &authserver.Client{
		ID: "api", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated("secret of the api")}}, Introspect: true,
	}))
	return s
}

// code has alice approve, and returns the code.
func code(t *testing.T, s *authserver.Server) string {
	t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {callback}, "scope": {"read"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/authorize?"+query.Encode(), nil))
	require.Equal(t, http.StatusSeeOther, w.Code, w.Body)
	to, err := url.Parse(w.Header().Get("Location"))
	require.NoError(t, err)
	require.NotEmpty(t, to.Query().Get("code"), to)
	return to.Query().Get("code")
}

type answer struct {
	status int

	Error   string
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Active  bool
}

// post sends a form to an endpoint; a user is its password.
func post(t *testing.T, s *authserver.Server, path string, user *url.Userinfo, form ...string) answer {
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, issuer+path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if user != nil {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), url.QueryEscape(password))
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	got := answer{status: w.Code}
	assert.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), w.Body)
	return got
}

func redeem(t *testing.T, s *authserver.Server, code string) answer {
	return post(t, s, "/token", nil, "grant_type", "authorization_code", "client_id", "app",
		"code", code, "redirect_uri", callback, "code_verifier", verifier)
}

func refresh(t *testing.T, s *authserver.Server, token string) answer {
	return post(t, s, "/token", nil, "grant_type", "refresh_token", "client_id", "app", "refresh_token", token)
}

func active(t *testing.T, s *authserver.Server, token string) bool {
	got := post(t, s, "/introspect", url.UserPassword("api", "secret of the api"), "token", token)
	assert.Equal(t, http.StatusOK, got.status, got)
	return got.Active
}

// What one server has issued is good at the other, and only once: a code and a
// refresh token are spent by one of 100 who come at the same time to both, and
// that the others came revokes all that they have yielded.
func TestTwoAuthorizationServers(t *testing.T) {
	config := postgres.Config{Schema: schema(t), DropOnly: true}
	servers := []*authserver.Server{endpoints(t, config), endpoints(t, config)}

	first := redeem(t, servers[1], code(t, servers[0]))
	require.Equal(t, http.StatusOK, first.status, first)
	require.True(t, active(t, servers[0], first.Access))
	second := refresh(t, servers[0], first.Refresh)
	require.Equal(t, http.StatusOK, second.status, second)
	require.True(t, active(t, servers[1], second.Access))

	const callers = 100
	for name, spend := range map[string]func(s *authserver.Server) answer{
		"code": func() func(*authserver.Server) answer {
			code := code(t, servers[0])
			return func(s *authserver.Server) answer { return redeem(t, s, code) }
		}(),
		"refresh token": func(s *authserver.Server) answer { return refresh(t, s, second.Refresh) },
	} {
		answers := make([]answer, callers)
		together(callers, func(i int) { answers[i] = spend(servers[i%2]) })
		var won []answer
		for _, a := range answers {
			if a.status == http.StatusOK {
				won = append(won, a)
			} else {
				assert.Equal(t, answer{status: http.StatusBadRequest, Error: "invalid_grant"}, a, name)
			}
		}
		require.Len(t, won, 1, name)
		for i, s := range servers {
			assert.False(t, active(t, s, won[0].Access), "%s at server %d", name, i)
			assert.Equal(t, http.StatusBadRequest, refresh(t, s, won[0].Refresh).status, "%s at server %d", name, i)
		}
	}
	assert.False(t, active(t, servers[0], second.Access), "of the family of the refresh token")
}
