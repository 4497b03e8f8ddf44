package introspect_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

// answering is a transport that answers from memory.
type answering struct {
	body string
	err  error
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		ContentLength: int64(len(a.body)), Body: io.NopCloser(strings.NewReader(a.body)), Request: r,
	}, nil
}

// A peer that repeats what it was sent, everywhere it can, must not get it
// into our errors and logs.
func TestTokenAndSecretAppearInNoErrorAndNoLog(t *testing.T) {
	const token, secret = "t0k3n", "s3cr3t"
	lies := map[string]http.Handler{
		"member":        lyingserver.Answer(`{"t0k3n":1,"t0k3n":2,"s3cr3t":[`),
		"values":        lyingserver.Answer(`{"active":"t0k3n s3cr3t"}`),
		"wrong type":    lyingserver.Answer(`{"active":true,"exp":"t0k3n","scope":"s3cr3t\""}`),
		"issuer":        lyingserver.Answer(`{"active":true,"iss":"t0k3n"}`),
		"media type":    lyingserver.Typed("text/t0k3n", secret),
		"error code":    lyingserver.Status(400, `{"error":"t0k3n","error_description":"s3cr3t"}`),
		"credentials":   lyingserver.Status(401, `{"error":"t0k3n"}`, "Www-Authenticate", `Basic realm="s3cr3t"`),
		"location":      lyingserver.Status(302, "", "Location", "http://t0k3n/?s3cr3t"),
		"bad location":  lyingserver.Status(302, "", "Location", "http://[t0k3n/?s3cr3t"),
		"retry after":   lyingserver.Status(503, "", "Retry-After", "t0k3n"),
		"status line":   lyingserver.Raw("HTTP/1.1 t0k3n s3cr3t\r\n\r\n"),
		"no HTTP":       lyingserver.Raw("t0k3n s3cr3t\r\n\r\n"),
		"header":        lyingserver.Raw("HTTP/1.1 200 OK\r\nt0k3n s3cr3t\r\n\r\n"),
		"length":        lyingserver.Raw("HTTP/1.1 200 OK\r\nContent-Length: t0k3n\r\n\r\n"),
		"chunk":         lyingserver.Raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nt0k3n\r\n"),
		"encoding":      lyingserver.Status(200, secret, "Content-Encoding", "t0k3n"),
		"reset":         lyingserver.Reset(),
		"trailing":      lyingserver.Answer(good + token),
		"inactive":      lyingserver.Answer(`{"active":false,"sub":"t0k3n"}`),
		"hang":          lyingserver.Hang(),
		"server errors": lyingserver.Status(500, token+secret),
	}
	for _, credential := range []introspect.Credential{
		introspect.Basic("api", secret), introspect.BasicRaw("api", secret), introspect.Post("api", secret), introspect.Bearer(secret),
	} {
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v %s", credential, credential, credential, credential), secret)
		for name, lie := range lies {
			t.Run(fmt.Sprint(credential, " ", name), func(t *testing.T) {
				var log bytes.Buffer
				c := asking(t, lyingserver.New(t, lie), func(cfg *introspect.Config) {
					cfg.Credential, cfg.Issuer = credential, "https://as.example.com"
					if name == "hang" {
						cfg.Timeout = 100 * time.Millisecond
					}
					cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				})
				_, err := c.Verify(t.Context(), token)
				if assert.Error(t, err) {
					text := fmt.Sprintf("%v %+v %#v", err, err, err) + log.String()
					assert.NotContains(t, text, token)
					assert.NotContains(t, text, secret)
				}
			})
		}
	}
}

func TestRefusedCredentialsAreLoggedButDoNotFloodTheLog(t *testing.T) {
	var log bytes.Buffer
	clock := time.Unix(1_700_000_000, 0)
	c := asking(t, lyingserver.New(t, lyingserver.Status(401, "")), func(cfg *introspect.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Now = func() time.Time { return clock }
	})
	for range 20 {
		_, err := c.Verify(t.Context(), "abc")
		assert.ErrorIs(t, err, introspect.ErrCredentials)
	}
	assert.Equal(t, 1, strings.Count(log.String(), "level=ERROR"))
	clock = clock.Add(10 * time.Second)
	_, _ = c.Verify(t.Context(), "abc")
	assert.Equal(t, 2, strings.Count(log.String(), "level=ERROR"))
	assert.Contains(t, log.String(), "times=20")
}
