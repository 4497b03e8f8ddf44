package authserver_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/authserver"
)

// Everything that is read of a request has a limit: what just fits is
// answered by its meaning, and one more byte is refused, at every endpoint.
func TestSizes(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	long := refusal(400, "invalid_request", "a parameter is too long")
	endpoints := []string{"/token", "/introspect", "/revoke", "/device_authorization"}
	post := func(w *world, path, form string, header ...string) reply {
		got := w.post(path, form, header...)
		got.header.Del("Connection") // net/http closes after a body that is too large, httptest does not
		return got
	}
	for _, test := range []struct {
		name   string
		form   func(int) string
		header func(int) []string
		most   int
		want   reply // for one more
	}{
		{"body", func(n int) string { return filled("", n) }, nil, 64 << 10,
			refusal(413, "invalid_request", "the body is too large")},
		{"number of parameters", func(n int) string { return many(n) }, nil, 100, refusal(400, "invalid_request", "there are too many parameters")},
		{"number of resources", func(n int) string { return strings.Repeat("resource=x&", n) }, nil, 100, refusal(400, "invalid_request", "there are too many parameters")},
		{"name", func(n int) string { return x(n) + "=1" }, nil, 128, refusal(400, "invalid_request", "the name of a parameter is too long")},
		{"client_id", func(n int) string { return "client_id=" + x(n) }, nil, 255, long},
		{"client_secret", func(n int) string { return "client_id=a&client_secret=" + x(n) }, nil, 1024, long},
		{"escaped", func(n int) string { return "client_id=" + strings.Repeat("%78", n) }, nil, 255, long},
		{"scope", func(n int) string { return "scope=" + x(n) }, nil, 4096, long},
		{"code", func(n int) string { return "code=" + x(n) }, nil, 4096, long},
		{"unknown", func(n int) string { return "unknown=" + x(n) }, nil, 4096, long},
		{"token", func(n int) string { return "token=" + x(n) }, nil, 8192, long},
		{"refresh_token", func(n int) string { return "refresh_token=" + x(n) }, nil, 8192, long},
		{"resource", func(n int) string { return "resource=a&resource=" + x(n) }, nil, 2048, long},
		{"redirect_uri", func(n int) string { return "redirect_uri=" + x(n) }, nil, 2048, long},
		{"client_assertion", func(n int) string { return "client_assertion=" + x(n) }, nil, 16384, long},
		{"headers", func(int) string { return "" }, func(n int) []string {
			// The Content-Type counts, too.
			return []string{"X", x(n - len("X") - len("Content-Type") - len("application/x-www-form-urlencoded"))}
		}, 32 << 10, refusal(431, "invalid_request", "the headers are too large")},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := test.header
			if header == nil {
				header = func(int) []string { return nil }
			}
			for _, path := range endpoints {
				w := newDeviceWorld(t)
				fits := post(w, path, test.form(test.most), header(test.most)...)
				assert.Equal(t, 401, fits.status, "%s: it is read, and nobody has authenticated: %s", path, fits.body)
				assert.Equal(t, test.want, post(w, path, test.form(test.most+1), header(test.most+1)...), path)
			}
		})
	}

	// A secret in the header is bounded like one in the body.
	w := newWorld(t)
	for _, n := range []int{1024, 1025, 20000} {
		assert.Equal(t, refusal(401, "invalid_client", "client authentication failed"), w.post("/token", credentialsGrant, basic("app", x(n))...), n)
	}
	assert.Equal(t, 401, w.post("/token", credentialsGrant, basic(x(256), "x")...).status)

	// JSON, where it is allowed, is no way around it.
	w = newWorld(t, func(c *authserver.Config) { c.Decoder = authserver.DecodeJSON })
	for n, want := range map[int]string{4096: "the client does not say who it is", 4097: "a parameter is too long"} {
		r := request("/token", `{"scope":"`+x(n)+`"}`)
		r.Header.Set("Content-Type", "application/json")
		assert.Contains(t, send(w, r).body, want)
	}
}

// So has what comes with the browser.
func TestSizesOfQueries(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct {
		path, query string
		want        int
	}{
		{"/authorize", "client_id=web&state=" + x(4096), 303},
		{"/authorize", "client_id=web&state=" + x(4097), 400},
		{"/authorize", "client_id=web&redirect_uri=" + x(2049), 400},
		{"/authorize", "client_id=" + x(256), 400},
		{"/authorize", "client_id=web" + many(99), 303},
		{"/authorize", "client_id=web" + many(100), 400},
		{"/authorize", filled("client_id=web", 16<<10), 303},
		{"/authorize", filled("client_id=web", 16<<10+1), 414},
		{"/device", "user_code=" + x(4096), 404},
		{"/device", "user_code=" + x(4097), 400},
		{"/device", filled("user_code=x", 16<<10+1), 414},
	} {
		got := get(newCodeWorld(t), issuer+test.path+"?"+test.query)
		assert.Equal(t, test.want, got.status, "%s %.40s… (%d)", test.path, test.query, len(test.query))
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	}
	// What a Login reads of a form is bounded, too.
	w := newCodeWorld(t, func(c *authserver.Config) {
		c.Login = func(_ http.ResponseWriter, r *http.Request, _ *authserver.AuthorizationRequest) (*authserver.Approval, error) {
			return nil, r.ParseForm()
		}
	})
	r := request("/authorize?client_id=web&response_type=code&code_challenge="+s256(verifier)+"&code_challenge_method=S256", "a="+strings.Repeat("x", 64<<10), "Origin", issuer)
	assert.Contains(t, send(w, r).header.Get("Location"), "error=temporarily_unavailable")

	r = request("/token", credentialsGrant, as("app")...)
	for i := range 40 {
		r.Header.Set("X-"+strconv.Itoa(i), x(1000))
	}
	assert.Equal(t, 431, send(newWorld(t), r).status)
}

// filled returns parameters of n bytes.
func filled(params string, n int) string {
	for i := 0; len(params) < n; i++ {
		params += "&fill" + strconv.Itoa(i) + "="
		params += strings.Repeat("x", max(min(4000, n-len(params)), 0))
	}
	return params[:n]
}
