package authserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

// Whatever is sent to the token endpoint, the answer is well-formed and no
// failure of the server; and only who knows the secret gets a token.
func FuzzTokenRequest(f *testing.F) {
	f.Add(credentialsGrant, as("app")[1], "application/x-www-form-urlencoded")
	f.Add(credentialsGrant+"&client_id=app&client_secret=x", "", "application/x-www-form-urlencoded; charset=utf-8")
	f.Add("a=b&a=c;%zz", "Basic Og==", "application/json")
	f.Add("grant_type=client_credentials&scope=read+write&resource=https://api.example.com", "bearer x", "text/plain;")
	f.Fuzz(func(t *testing.T, body, authorization, contentType string) {
		w := newWorld(t)
		r := httptest.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader(body))
		r.Header["Authorization"] = []string{authorization}
		r.Header["Content-Type"] = []string{contentType}
		got := send(w, r)
		assert.Contains(t, []int{200, 400, 401, 413, 415}, got.status)
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
		var answer struct {
			Error       string
			Description string `json:"error_description"`
		}
		require.NoError(t, json.Unmarshal([]byte(got.body), &answer))
		assert.Equal(t, got.status == 200, answer.Error == "")
		assert.Equal(t, got.status == 401, got.header.Get("WWW-Authenticate") != "")
		for _, c := range []byte(answer.Description) {
			assert.True(t, c >= ' ' && c <= '~' && c != '"' && c != '\\')
		}
	})
}

// A pair of ID and secret means the same in the header and in the body.
func FuzzCredentials(f *testing.F) {
	f.Add("app", secret)
	f.Add("other app", "a:b%+ &=")
	f.Add("é", "世界")
	f.Fuzz(func(t *testing.T, id, plain string) {
		if !utf8.ValidString(id) || !utf8.ValidString(plain) || id == "" || plain == "" || len(plain) > 1024 {
			t.Skip()
		}
		w := newWorld(t)
		c := authserver.Client{
			ID: id, Grants: []string{authserver.GrantClientCredentials}, Scopes: []string{"read"}, Audience: []string{api},
			Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(plain)}},
		}
		want := 200
		if w.memory.PutClient(t.Context(), &c) != nil {
			want = 401
		}
		form := credentialsGrant + "&client_id=" + url.QueryEscape(id)
		if want == 401 || id != "app" {
			assert.Equal(t, 401, w.post("/token", credentialsGrant, basic(id, plain+"x")...).status)
		}
		assert.Equal(t, want, w.post("/token", credentialsGrant, basic(id, plain)...).status)
		assert.Equal(t, want, w.post("/token", form+"&client_secret="+url.QueryEscape(plain)).status)
	})
}
