package cache_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
)

// Whatever a verifier does with a token, the cache does not log it, nor put it
// into an error of its own.
func TestLogHasNoToken(t *testing.T) {
	const secret = "a+secret/that/nobody-may-see=="
	for name, test := range map[string]struct {
		fail func() error // instead of the second answer
		logs string
	}{
		"error":  {func() error { return errors.New("down") }, "error=down"},
		"quoted": {func() error { return errors.New("no answer about " + secret) }, "withheld"},
		"in a query": {func() error {
			return &url.Error{Op: "Get", URL: "/?t=" + url.QueryEscape(secret), Err: errors.New("down")}
		}, "withheld"},
		"in a path": {func() error { return &url.Error{Op: "Get", URL: "/" + url.PathEscape(secret), Err: errors.New("down")} }, "withheld"},
		"panic":     {func() error { panic("about " + secret) }, "a value of type string"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logged bytes.Buffer
				calls := 0
				c := open(t, cache.Config{
					TTL: time.Minute, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
					Verifier: sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) {
						if calls++; calls > 1 {
							return nil, test.fail()
						}
						return &sneck.Token{Subject: "subject", Expires: time.Now().Add(time.Hour)}, nil
					}),
				})
				require.Equal(t, "subject", ask(c, t.Context(), secret))
				time.Sleep(50 * time.Second)
				require.Equal(t, "subject", ask(c, t.Context(), secret)) // begins the refresh
				synctest.Wait()
				assert.Equal(t, 2, calls)
				assert.Contains(t, logged.String(), test.logs)
				for _, spelling := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
					assert.NotContains(t, logged.String(), spelling)
				}
				if name == "panic" {
					assert.Contains(t, logged.String(), "cache.go") // the stack
				}
			})
		})
	}

	c := open(t, cache.Config{TTL: time.Minute, Verifier: sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) { panic(secret) })})
	_, err := c.Verify(t.Context(), secret)
	require.EqualError(t, err, "sneck: could not verify: cache: the verifier panicked: a value of type string")
}
