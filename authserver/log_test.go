package authserver_test

import (
	"bytes"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/authserver"
)

func withLog(out io.Writer) func(*authserver.Config) {
	return func(c *authserver.Config) {
		c.Logger = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	w := newWorld(t, withLog(&out))
	token := w.issue(t, "app", "")
	w.post("/token", credentialsGrant, basic("app", "wr0ng-s3cret")...)
	w.post("/token", credentialsGrant+"&scope=h1dden", as("app")...)
	w.post("/token", "%zz=h1dden", as("app")...)
	w.post("/introspect", "token="+token, as("app")...)
	w.post("/revoke", "token="+token, as("app")...)
	assert.Equal(t, `level=DEBUG msg="token issued" client=app grant_type=client_credentials scope=read
level=WARN msg="request refused" path=/token status=401 code=invalid_client description="client authentication failed" cause="unknown client or wrong secret"
level=INFO msg="request refused" path=/token status=400 code=invalid_scope description="a scope is unknown or not allowed to the client" client=app
level=INFO msg="request refused" path=/token status=400 code=invalid_request description="the body is not well-formed application/x-www-form-urlencoded"
level=WARN msg="request refused" path=/introspect status=403 code=unauthorized_client description="the client may not introspect tokens" client=app
level=INFO msg="token revoked" client=app kind=access
`, out.String())
	for _, hidden := range []string{"token-1", secret, "wr0ng", "h1dden"} {
		assert.NotContains(t, out.String(), hidden)
	}

	out.Reset()
	w = newWorld(t, withLog(&out), func(c *authserver.Config) { c.Store = failingStore{} })
	w.post("/token", credentialsGrant, as("app")...)
	assert.Equal(t, `level=ERROR msg="request refused" path=/token status=503 code=temporarily_unavailable `+
		`description="the server can not answer at the moment" client=app cause="store a token: the disk is gone"`+"\n", out.String())
}
