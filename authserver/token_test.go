package authserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

const credentialsGrant = "grant_type=client_credentials"

func issued(scope string) reply {
	return jsonReply(200, `{"access_token":"token-1","token_type":"Bearer","expires_in":3600,"scope":"`+scope+`"}`)
}

func TestAC01_OnlyPostedFormsAndNoRepetition(t *testing.T) {
	wrongType := "the Content-Type must be application/x-www-form-urlencoded"
	withType := func(contentType, body string) *http.Request {
		r := request("/token", body, as("app")...)
		r.Header.Set("Content-Type", contentType)
		return r
	}
	with := func(method, target string) *http.Request {
		r := request("/token", credentialsGrant, as("app")...)
		q := httptest.NewRequest(method, issuer+target, strings.NewReader(credentialsGrant))
		q.Header = r.Header
		return q
	}
	noType := request("/token", credentialsGrant, as("app")...)
	noType.Header.Del("Content-Type")
	twoTypes := request("/token", credentialsGrant, append(as("app"), "Content-Type", "application/json")...)
	for _, test := range []struct {
		name string
		in   *http.Request
		want reply
	}{
		{"form", with("POST", "/token"), issued("read")},
		{"form with charset", withType("Application/X-www-form-urlencoded; charset=utf-8", credentialsGrant), issued("read")},
		{"unknown parameters are ignored", request("/token", credentialsGrant+"&x=1", as("app")...), issued("read")},
		{"empty values count as left out", request("/token", credentialsGrant+"&scope=&client_id=&resource=", as("app")...), issued("read")},
		{"GET", with("GET", "/token"), refusal(405, "invalid_request", "the method is not allowed here, but POST", "Allow", "POST")},
		{"PUT", with("PUT", "/token"), refusal(405, "invalid_request", "the method is not allowed here, but POST", "Allow", "POST")},
		{"query", with("POST", "/token?scope=read"), refusal(400, "invalid_request", "parameters belong into the body, not into the query")},
		{"empty query", with("POST", "/token?"), refusal(400, "invalid_request", "parameters belong into the body, not into the query")},
		{"JSON", withType("application/json", `{}`), refusal(415, "invalid_request", "JSON is not understood here: send the parameters as application/x-www-form-urlencoded")},
		{"multipart", withType("multipart/form-data; boundary=x", "--x--"), refusal(415, "invalid_request", wrongType)},
		{"no type", noType, refusal(415, "invalid_request", wrongType)},
		{"two types", twoTypes, refusal(415, "invalid_request", wrongType)},
		{"other charset", withType("application/x-www-form-urlencoded; charset=utf-16", credentialsGrant), refusal(415, "invalid_request", "the charset must be UTF-8")},
		{"repeated", request("/token", credentialsGrant+"&scope=read&scope=read", as("app")...), refusal(400, "invalid_request", "a parameter is repeated")},
		{"repeated, once empty", request("/token", credentialsGrant+"&scope=&scope=read", as("app")...), refusal(400, "invalid_request", "a parameter is repeated")},
		{"repeated, escaped", request("/token", credentialsGrant+"&scope=read&sc%6fpe=read", as("app")...), refusal(400, "invalid_request", "a parameter is repeated")},
		{"repeated and unknown", request("/token", credentialsGrant+"&x=1&x=2", as("app")...), refusal(400, "invalid_request", "a parameter is repeated")},
		{"bad escape", request("/token", credentialsGrant+"&scope=%zz", as("app")...), refusal(400, "invalid_request", "the body is not well-formed application/x-www-form-urlencoded")},
		{"semicolon", request("/token", credentialsGrant+";scope=read", as("app")...), refusal(400, "invalid_request", "the body is not well-formed application/x-www-form-urlencoded")},
		{"not UTF-8", request("/token", credentialsGrant+"&scope=%ff", as("app")...), refusal(400, "invalid_request", "the body is not valid UTF-8")},
		{"not UTF-8 in a name", request("/token", credentialsGrant+"&%ff=x", as("app")...), refusal(400, "invalid_request", "the body is not valid UTF-8")},
		{"too many parameters", request("/token", many(101), as("app")...), refusal(400, "invalid_request", "there are too many parameters")},
		{"too many resources", request("/token", strings.Repeat("resource=a&", 101), as("app")...), refusal(400, "invalid_request", "there are too many parameters")},
		{"too large", request("/token", credentialsGrant+"&x="+strings.Repeat("x", 64<<10), as("app")...), refusal(413, "invalid_request", "the body is too large", "Connection", "close")},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := send(newWorld(t), test.in)
			if test.want.status == 413 {
				got.header.Set("Connection", "close") // net/http closes, httptest does not
			}
			assert.Equal(t, test.want, got)
		})
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("&p" + strings.Repeat("x", i) + "=1")
	}
	return b.String()
}

func TestAC03_AC04_AC05_ClientAuthentication(t *testing.T) {
	failed := refusal(401, "invalid_client", "client authentication failed")
	malformed := refusal(401, "invalid_client", "the Authorization header is malformed")
	inBody := credentialsGrant + "&client_id=app&client_secret=" + "s3cr3t%2Bwith%3Aodd%25characters%2F0123456789"
	for _, test := range []struct {
		name   string
		form   string
		header []string
		want   reply
	}{
		{"basic", credentialsGrant, as("app"), issued("read")},
		{"basic, ID with a space", credentialsGrant, as("other app"), issued("read")},
		{"basic, scheme in lower case", credentialsGrant, []string{"Authorization", "bASIC " + as("app")[1][6:]}, issued("read")},
		{"basic, all escaped", credentialsGrant, rawBasic("%61pp:s3cr3t%2bwith%3Aodd%25characters%2F0123456789"), issued("read")},
		{"basic and the same client_id", credentialsGrant + "&client_id=app", as("app"), issued("read")},
		{"post", inBody, nil, issued("read")},
		{"basic, not escaped", credentialsGrant, rawBasic("app:" + secret), malformed},
		{"wrong secret", credentialsGrant, basic("app", "wrong"), failed},
		{"empty secret", credentialsGrant, basic("app", ""), failed},
		{"beginning of the secret", credentialsGrant, basic("app", secret[:len(secret)-1]), failed},
		{"secret and more", credentialsGrant, basic("app", secret+"x"), failed},
		{"very long secret", credentialsGrant, basic("app", strings.Repeat("x", 9999)), failed},
		{"hash for the secret", credentialsGrant, basic("app", authserver.HashGenerated(secret)), failed},
		{"unknown client", credentialsGrant, basic("nobody", secret), failed},
		{"impossible client", credentialsGrant, basic("a\x00b", secret), failed},
		{"public client with a secret", credentialsGrant, basic("public", secret), failed},
		{"public client with the empty secret", credentialsGrant, basic("public", ""), failed},
		{"wrong secret in the body", credentialsGrant + "&client_id=app&client_secret=x", nil, failed},
		{"nothing", credentialsGrant, nil, refusal(401, "invalid_client", "the client does not say who it is")},
		{"secret only", credentialsGrant + "&client_secret=x", nil, refusal(401, "invalid_client", "the client does not say who it is")},
		{"client_id only", credentialsGrant + "&client_id=app", nil, refusal(401, "invalid_client", "the client does not authenticate")},
		{"empty secret in the body", credentialsGrant + "&client_id=app&client_secret=", nil, refusal(401, "invalid_client", "the client does not authenticate")},
		{"two ways", inBody, as("app"), refusal(400, "invalid_request", "the client authenticates in two ways at once")},
		{"two ways, both wrong", credentialsGrant + "&client_secret=x", basic("app", "x"), refusal(400, "invalid_request", "the client authenticates in two ways at once")},
		{"two headers", credentialsGrant, append(as("app"), as("app")...), refusal(400, "invalid_request", "there is more than one Authorization header")},
		{"other client_id", credentialsGrant + "&client_id=api", as("app"), refusal(400, "invalid_request", "the client_id differs from the one in the Authorization header")},
		{"other scheme", credentialsGrant, []string{"Authorization", "Digest x"}, refusal(401, "invalid_client", "the authentication scheme is not understood here")},
		{"no base64", credentialsGrant, []string{"Authorization", "Basic !!!"}, malformed},
		{"base64 with a line end", credentialsGrant, []string{"Authorization", "Basic YXBw\nOng="}, malformed},
		{"no colon", credentialsGrant, rawBasic("app"), malformed},
		{"no ID", credentialsGrant, rawBasic(":" + secret), malformed},
		{"scheme only", credentialsGrant, []string{"Authorization", "Basic"}, malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, newWorld(t).post("/token", test.form, test.header...))
		})
	}
}

func TestAC04_ClientIsHeldToItsMethod(t *testing.T) {
	inBody := credentialsGrant + "&client_id=held&client_secret=" + "s3cr3t%2Bwith%3Aodd%25characters%2F0123456789"
	other := refusal(401, "invalid_client", "the client is registered for another authentication method")
	for _, test := range []struct {
		method      string
		basic, post reply
	}{
		{"", issued("read"), issued("read")},
		{"client_secret_basic", issued("read"), other},
		{"client_secret_post", other, issued("read")},
	} {
		client := authserver.Client{
			ID: "held", AuthMethod: test.method, Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}},
			Grants: []string{authserver.GrantClientCredentials}, Scopes: []string{"read"}, Audience: []string{api},
		}
		w := newWorld(t)
		require.NoError(t, w.memory.PutClient(t.Context(), &client))
		assert.Equal(t, test.basic, w.post("/token", credentialsGrant, as("held")...))
		w = newWorld(t)
		require.NoError(t, w.memory.PutClient(t.Context(), &client))
		assert.Equal(t, test.post, w.post("/token", inBody))
	}
}

func TestAC14_SeveralSecretsWithExpiry(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "rotating", Grants: []string{authserver.GrantClientCredentials}, Scopes: []string{"read"}, Audience: []string{api},
		Secrets: []authserver.Secret{
			{Hash: authserver.HashGenerated("old secret"), Expires: epoch.Add(time.Minute)},
			{Hash: authserver.HashGenerated("new secret")},
		},
	}))
	for _, test := range []struct {
		after  time.Duration
		secret string
		want   int
	}{
		{0, "old secret", 200},
		{0, "new secret", 200},
		{time.Minute - 1, "old secret", 200},
		{time.Minute, "old secret", 401},
		{time.Minute, "new secret", 200},
	} {
		w.now = epoch.Add(test.after)
		assert.Equal(t, test.want, w.post("/token", credentialsGrant, basic("rotating", test.secret)...).status)
	}
}

func TestAC06_ErrorCodes(t *testing.T) {
	for _, test := range []struct {
		name, client, form string
		want               reply
	}{
		{"no grant type", "app", "", refusal(400, "invalid_request", "grant_type is missing")},
		{"unknown grant type", "app", "grant_type=nonsense", refusal(400, "unsupported_grant_type", "the grant type is not supported")},
		{"AC09 password", "app", "grant_type=password&username=a&password=b", refusal(400, "unsupported_grant_type", "the grant type is not supported")},
		{"grant type not allowed", "no grants", credentialsGrant, refusal(400, "unauthorized_client", "the client may not use this grant type")},
		{"AC07 asked scope", "app", credentialsGrant + "&scope=write", issued("write")},
		{"AC07 asked scopes, in order and once", "app", credentialsGrant + "&scope=write+read+write", issued("write read")},
		{"AC07 default scope", "app", credentialsGrant, issued("read")},
		{"unknown scope", "app", credentialsGrant + "&scope=read+nonsense", refusal(400, "invalid_scope", "a scope is unknown or not allowed to the client")},
		{"scope not allowed to the client", "app", credentialsGrant + "&scope=admin", refusal(400, "invalid_scope", "a scope is unknown or not allowed to the client")},
		{"malformed scope", "app", credentialsGrant + "&scope=a%22b", refusal(400, "invalid_scope", "the scope is malformed")},
		{"client without scopes", "no scopes", credentialsGrant, refusal(400, "invalid_scope", "no scope was asked for, and there is no default")},
		{"client without audience", "no audience", credentialsGrant, refusal(400, "invalid_target", "the client has no default audience: ask for a resource, or have an audience registered")},
		{"resource that is no URI", "app", credentialsGrant + "&resource=api", refusal(400, "invalid_target", "a resource must be an absolute URI without a fragment")},
		{"resource with a fragment", "app", credentialsGrant + "&resource=https://api.example.com%23x", refusal(400, "invalid_target", "a resource must be an absolute URI without a fragment")},
		{"resource not allowed", "app", credentialsGrant + "&resource=https://third.example.com", refusal(400, "invalid_target", "the client may not ask for this resource")},
		{"one of two not allowed", "app", credentialsGrant + "&resource=https://api.example.com&resource=https://third.example.com", refusal(400, "invalid_target", "the client may not ask for this resource")},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, newWorld(t).post("/token", test.form, as(test.client)...))
		})
	}
}

func TestAP21_AC23_Audience(t *testing.T) {
	for _, test := range []struct {
		name, form string
		want       []string
	}{
		{"default", "", []string{api}},
		{"the default by name", "resource=" + api, []string{api}},
		{"another", "resource=https://other.example.com/x", []string{"https://other.example.com/x"}},
		{"several, each once", "resource=https://other.example.com/x&resource=" + api + "&resource=" + api, []string{"https://other.example.com/x", api}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			token, err := w.Verify(t.Context(), w.issue(t, "app", test.form))
			require.NoError(t, err)
			assert.Equal(t, test.want, token.Audience)
		})
	}
	t.Run("of the server", func(t *testing.T) {
		w := newWorld(t, func(c *authserver.Config) { c.Audience = []string{"everything"} })
		token, err := w.Verify(t.Context(), w.issue(t, "no audience", ""))
		require.NoError(t, err)
		assert.Equal(t, []string{"everything"}, token.Audience)
	})
}

// A generator that yields what exists is asked again, and if that is all it
// can do, the answer is not a verdict.
func TestGeneratorThatRepeatsItself(t *testing.T) {
	values := []string{"same", "same", "same", "new"}
	w := newWorld(t, func(c *authserver.Config) {
		c.AccessToken = func(context.Context, *authserver.TokenRequest) (string, error) {
			v := values[0]
			if len(values) > 1 {
				values = values[1:]
			}
			return v, nil
		}
	})
	assert.Equal(t, "same", w.issue(t, "app", ""))
	assert.Equal(t, "new", w.issue(t, "app", ""))
	assert.Equal(t, refusal(503, "temporarily_unavailable", "the server can not answer at the moment"),
		w.post("/token", credentialsGrant, as("app")...))
}
