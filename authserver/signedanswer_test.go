package authserver_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/introspect"
)

const signedAnswer = "application/token-introspection+jwt"

func TestIE13_IE14_IE15_IE16_SignedAnswers(t *testing.T) {
	w := newJWTWorld(t, p256(t))
	opaque, signed := w.issue(t, "app", "scope=read+write"), w.issue(t, "jwt", "scope=read")
	ask := func(client, token, accept string) reply {
		return w.post("/introspect", "token="+token, append(as(client), "Accept", accept)...)
	}
	for _, c := range []struct{ name, client, token, accept string }{
		{"opaque token", "api", opaque, signedAnswer},
		{"JWT", "api", signed, signedAnswer},
		{"unknown token", "api", "unknown", signedAnswer},
		{"token for another API", "other api", opaque, signedAnswer},
		{"one type of several", "api", opaque, "text/plain;q=0.1, Application/Token-Introspection+JWT; q=0.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain := ask(c.client, c.token, "application/json")
			require.Equal(t, jsonReply(200, plain.body), plain)
			var object map[string]any
			require.NoError(t, json.Unmarshal([]byte(plain.body), &object))

			got := ask(c.client, c.token, c.accept)
			want := plain.header.Clone()
			want.Set("Content-Type", signedAnswer)
			assert.Equal(t, reply{200, want, got.body}, got)
			header, claims := opened(t, got.body, keysAt(t, w))
			assert.Equal(t, map[string]any{"typ": "token-introspection+jwt", "alg": "ES256", "kid": "k1"}, header)
			assert.Equal(t, map[string]any{
				"iss": issuer, "aud": c.client, "iat": float64(w.now.Unix()), "token_introspection": object,
			}, claims)
			assert.Equal(t, inactive, ask("api", got.body, "application/json"), "it is no token")
		})
	}
	for _, accept := range []string{"", "*/*", "application/*", "application/jwt", signedAnswer + ";q=0", "application/json", ","} {
		assert.Equal(t, jsonReply(200, whole), ask("api", opaque, accept), accept)
	}
	assert.Equal(t, refusal(400, "invalid_request", "token is missing"), ask("api", "", signedAnswer))
	assert.Equal(t, refusal(401, "invalid_client", "client authentication failed"),
		w.post("/introspect", "token="+opaque, append(basic("api", "wrong"), "Accept", signedAnswer)...))
	w = newWorld(t)
	token := w.issue(t, "app", "scope=read+write")
	assert.Equal(t, jsonReply(200, whole), w.post("/introspect", "token="+token, append(as("api"), "Accept", signedAnswer)...),
		"a server without keys signs nothing")
}

func TestSignedAnswerWithoutASignature(t *testing.T) {
	w := newJWTWorld(t, brokenSigner{p256(t)})
	assert.Equal(t, refusal(503, "temporarily_unavailable", "the server can not answer at the moment"),
		w.post("/introspect", "token=unknown", append(as("api"), "Accept", signedAnswer)...))
}

// IE-17, as far as what is signed: the metadata names the algorithm.
func TestIE17_SignedAnswersInTheMetadata(t *testing.T) {
	metadata := func(w *world) string { return get(w, issuer+"/.well-known/oauth-authorization-server").body }
	assert.Contains(t, metadata(newJWTWorld(t, p256(t))), `"introspection_signing_alg_values_supported":["ES256"]`)
	assert.NotContains(t, metadata(newWorld(t)), "introspection_signing_alg")
}

// Our client takes what our server signs.
func TestSignedAnswersOfServerAndClient(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	w := newJWTWorld(t, p256(t), func(c *authserver.Config) { c.Issuer, c.Now = base, nil })
	server.Config.Handler = w
	server.Start()
	t.Cleanup(server.Close)
	client, err := introspect.New(introspect.Config{
		Issuer: base, Credential: introspect.Basic("api", secret), Signed: &introspect.SignedAnswers{Audience: "api"},
	})
	require.NoError(t, err)
	token, err := client.Verify(t.Context(), w.issue(t, "app", "scope=read+write"))
	require.NoError(t, err)
	assert.Equal(t, []string{"app", "read write"}, []string{token.Subject, token.Scopes.String()})
	_, err = client.Verify(t.Context(), "unknown")
	assert.ErrorIs(t, err, sneck.ErrInvalid)
}
