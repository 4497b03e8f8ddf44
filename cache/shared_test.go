package cache_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cache/cachetest"
)

// process opens a cache as another process on the same shared tier would, and
// waits until it listens.
func process(t *testing.T, a *authority, m *cachetest.Memory, change ...func(*cache.Config)) *cache.Cache {
	c := newProcess(t, a, m, change...)
	synctest.Wait()
	return c
}

// newProcess does not wait: what the bus has to say comes when it comes.
func newProcess(t *testing.T, a *authority, m *cachetest.Memory, change ...func(*cache.Config)) *cache.Cache {
	cfg := cache.Config{Verifier: a, TTL: time.Minute, RefreshAfter: -1, Shared: &cache.Shared{
		Store: m, Bus: m, Namespace: "test", Secret: bytes.Repeat([]byte{7}, 32),
	}}
	for _, f := range change {
		f(&cfg)
	}
	return open(t, cfg)
}

func TestProcessesShareAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good"), cachetest.NewMemory()
		a.tokens["good"].Expires = time.Now().Add(time.Hour)
		one, two := process(t, a, m), process(t, a, m)
		asked := time.Now()
		require.Equal(t, "sub-good", ask(one, t.Context(), "good"))
		synctest.Wait()
		time.Sleep(10 * time.Second)
		token, err := two.Verify(t.Context(), "good")
		require.NoError(t, err)
		want := *a.tokens["good"]
		want.VerifiedAt = asked
		assert.True(t, token.VerifiedAt.Equal(asked), "an answer keeps its age on its way")
		assert.Equal(t, []any{want.Subject, want.ClientID, want.Issuer, want.ID, want.Scopes}, []any{token.Subject, token.ClientID, token.Issuer, token.ID, token.Scopes})
		assert.True(t, token.Expires.Equal(want.Expires))
		require.EqualValues(t, 1, a.calls.Load())
		// It is as old in the second process as it is.
		time.Sleep(50 * time.Second)
		require.Equal(t, "sub-good", ask(two, t.Context(), "good"))
		assert.EqualValues(t, 2, a.calls.Load())
	})
}

func TestRevocationReachesEveryProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good"), cachetest.NewMemory()
		one, two := process(t, a, m), process(t, a, m)
		for _, c := range []*cache.Cache{one, two} {
			require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
			synctest.Wait()
		}
		time.Sleep(5 * time.Second)
		a.set(func(a *authority) { a.tokens = nil })
		require.NoError(t, one.Revoke(t.Context(), cache.Revocation{Token: "good"}))
		synctest.Wait()
		assert.Equal(t, "invalid", ask(two, t.Context(), "good"))
		assert.Equal(t, "invalid", ask(one, t.Context(), "good"))
	})
}

// What one process finds out by asking, the others learn at once.
func TestRefusalReachesEveryProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good"), cachetest.NewMemory()
		one, two := process(t, a, m), process(t, a, m)
		for _, c := range []*cache.Cache{one, two} {
			require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
			synctest.Wait()
		}
		a.set(func(a *authority) { a.tokens = nil })
		time.Sleep(5 * time.Second)
		require.Equal(t, "invalid", ask(one, sneck.WithMaxStaleness(t.Context(), 0), "good"))
		synctest.Wait()
		assert.Equal(t, "invalid", ask(two, t.Context(), "good"))
		assert.Empty(t, m.Dump())
	})
}

func TestHostileStoreYieldsMissesOnly(t *testing.T) {
	for name, attack := range map[string]func(m *cachetest.Memory, old map[string][]byte){
		"flipped bits": func(m *cachetest.Memory, _ map[string][]byte) {
			m.Tamper(func(all map[string][]byte) {
				for _, b := range all {
					b[len(b)/2] ^= 1
				}
			})
		},
		"swapped values": func(m *cachetest.Memory, _ map[string][]byte) {
			m.Tamper(func(all map[string][]byte) {
				var keys []string
				for key := range all {
					keys = append(keys, key)
				}
				all[keys[0]], all[keys[1]] = all[keys[1]], all[keys[0]]
			})
		},
		"empty values": func(m *cachetest.Memory, _ map[string][]byte) {
			m.Tamper(func(all map[string][]byte) {
				for key := range all {
					all[key] = []byte{}
				}
			})
		},
		"huge values": func(m *cachetest.Memory, _ map[string][]byte) {
			m.Tamper(func(all map[string][]byte) {
				for key := range all {
					all[key] = make([]byte, 100<<20)
				}
			})
		},
		"an old value again": func(m *cachetest.Memory, old map[string][]byte) {
			m.Tamper(func(all map[string][]byte) {
				for key, b := range old {
					all[key] = b
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, m := newAuthority("good", "evil"), cachetest.NewMemory()
				one := process(t, a, m)
				require.Equal(t, "sub-good", ask(one, t.Context(), "good"))
				require.Equal(t, "sub-evil", ask(one, t.Context(), "evil"))
				synctest.Wait()
				old := m.Dump()
				require.Len(t, old, 2)
				time.Sleep(31 * time.Second) // the old answers are over
				a.set(func(a *authority) { a.tokens = newAuthority("good").tokens })
				require.Equal(t, "sub-good", ask(one, t.Context(), "good"))
				require.Equal(t, "invalid", ask(one, t.Context(), "evil"))
				synctest.Wait()
				if name == "swapped values" {
					m.Tamper(func(all map[string][]byte) { all["more"] = []byte("x") })
				}
				attack(m, old)
				two := process(t, a, m)
				assert.Equal(t, "sub-good", ask(two, t.Context(), "good"))
				assert.Equal(t, "invalid", ask(two, t.Context(), "evil"))
			})
		})
	}
}

func TestForgedRevocationsAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good"), cachetest.NewMemory()
		c := process(t, a, m)
		require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		time.Sleep(time.Second)
		require.NoError(t, m.Publish(t.Context(), []byte(`{"Subject":"sub-good"}`)))
		synctest.Wait()
		require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		assert.EqualValues(t, 1, a.calls.Load())
		assert.EqualValues(t, 1, c.Stats().SharedForged)
	})
}

// Another namespace or another secret is another cache.
func TestSharedAnswersStayInTheirNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good"), cachetest.NewMemory()
		for i, change := range []func(*cache.Config){
			func(cfg *cache.Config) {},
			func(cfg *cache.Config) { cfg.Shared.Namespace = "test2" },
			func(cfg *cache.Config) { cfg.Shared.Secret = bytes.Repeat([]byte{8}, 32) },
		} {
			require.Equal(t, "sub-good", ask(process(t, a, m, change), t.Context(), "good"))
			synctest.Wait()
			assert.EqualValues(t, i+1, a.calls.Load())
		}
	})
}

func TestDeadStoreCostsItsTimeoutAndIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("a", "b", "c", "d", "e"), cachetest.NewMemory()
		c := process(t, a, m)
		m.Fault = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		var took []time.Duration
		for _, token := range []string{"a", "b", "c", "d", "e"} {
			start := time.Now()
			require.Equal(t, "sub-"+token, ask(c, t.Context(), token))
			took = append(took, time.Since(start))
			synctest.Wait()
		}
		const ms = time.Millisecond
		// Each new token reads and writes; the fourth operation is skipped.
		assert.Equal(t, []time.Duration{50 * ms, 50 * ms, 0, 0, 0}, took)
		assert.NotZero(t, c.Stats().SharedSkipped)
		m.Fault = nil
		time.Sleep(11 * time.Second)
		require.Equal(t, "sub-a", ask(c, sneck.WithMaxStaleness(t.Context(), 0), "a"))
		synctest.Wait()
		assert.Len(t, m.Dump(), 1, "it is used again when it has recovered")
	})
}

func TestRevokeReportsThatOthersWereNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good"), cachetest.NewMemory()
		c := process(t, a, m)
		require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		synctest.Wait()
		time.Sleep(2 * time.Second)
		m.Fault = func(context.Context) error { return errors.New("gone") }
		require.ErrorContains(t, c.Revoke(t.Context(), cache.Revocation{Token: "good"}), "revoked in this process only: publish: gone")
		require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		assert.EqualValues(t, 2, a.calls.Load(), "this process obeys")
	})
}

func TestNoTokenInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const secret = "tok-3f9b2c71d0"
		a, m := newAuthority(secret), cachetest.NewMemory()
		c := process(t, a, m)
		require.NotEqual(t, "unavailable", ask(c, t.Context(), secret))
		synctest.Wait()
		require.NotEmpty(t, m.Dump())
		for key, b := range m.Dump() {
			assert.NotContains(t, key, secret)
			assert.NotContains(t, string(b), secret)
			assert.NotContains(t, string(b), "sub-")
		}
	})
}

// A brokenTier panics.
type brokenTier struct{ *cachetest.Memory }

func (brokenTier) Get(context.Context, string) ([]byte, error)              { panic("get") }
func (brokenTier) Set(context.Context, string, []byte, time.Duration) error { panic("set") }
func (brokenTier) Delete(context.Context, string) error                     { panic("delete") }
func (brokenTier) Publish(context.Context, []byte) error                    { panic("publish") }

// A tier that panics is one that fails: it ends no process, and answers nobody.
func TestSharedTierPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good"), cachetest.NewMemory()
		var logged bytes.Buffer
		c := process(t, a, m, func(cfg *cache.Config) {
			cfg.Shared.Store, cfg.Shared.Bus = brokenTier{m}, brokenTier{m}
			cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		})
		require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		synctest.Wait()
		require.EqualValues(t, 2, c.Stats().SharedErrors) // get and set
		require.EqualError(t, c.Revoke(t.Context(), cache.Revocation{Token: "good"}),
			"cache: revoked in this process only: publish: cache: the shared tier panicked: a value of type string")
		a.set(func(a *authority) { a.tokens = nil })
		assert.Equal(t, "invalid", ask(c, t.Context(), "good"))
		synctest.Wait()
		assert.Contains(t, logged.String(), `error="cache: the shared tier panicked: a value of type string"`)
		assert.NotContains(t, logged.String(), "verifier panicked")
	})
}
