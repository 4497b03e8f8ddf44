package authserver_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

// What two rings on one store do by themselves: only one makes and deletes a
// key, each says when it begins to sign with it.
func TestKeyRingEvents(t *testing.T) {
	m, c := authserver.NewMemory(), newClock(epoch)
	var happened []string
	names := map[string]string{} // of keys, which are random
	observe := func(ring string) func(*authserver.KeyRingConfig) {
		return func(config *authserver.KeyRingConfig) {
			config.Record = func(_ context.Context, e authserver.Event) error {
				if names[e.Reason] == "" {
					names[e.Reason] = string(rune('A' + len(names)))
				}
				assert.Equal(t, authserver.Event{Kind: e.Kind, Time: c.Now(), Reason: e.Reason}, e)
				happened = append(happened, ring+" "+string(e.Kind)+" "+names[e.Reason])
				return nil
			}
		}
	}
	rings := []*authserver.KeyRing{newRing(t, m, c, observe("1")), newRing(t, m, c, observe("2"))}
	look := func() []string {
		t.Helper()
		happened = nil
		for _, r := range rings {
			_, err := r.KeySet(t.Context())
			require.NoError(t, err)
		}
		return happened
	}
	const month = 30 * 24 * time.Hour
	assert.Equal(t, []string{"1 key_added A", "1 key_signs A", "2 key_signs A"}, look())
	assert.Empty(t, look())
	c.set(epoch.Add(month - 20*time.Minute)) // MaxAge twice
	assert.Equal(t, []string{"1 key_added B"}, look())
	c.set(epoch.Add(month))
	assert.Equal(t, []string{"1 key_signs B", "2 key_signs B"}, look())
	c.set(epoch.Add(month + time.Hour))
	assert.Equal(t, []string{"1 key_deleted A"}, look())

	// Who takes a key back says so; what the ring makes in its place it says.
	happened = nil
	list, err := rings[0].List(t.Context())
	require.NoError(t, err)
	require.NoError(t, rings[0].Retire(t.Context(), list[1].ID))
	assert.Equal(t, []string{"1 key_added C", "1 key_deleted B"}, happened)
	c.set(epoch.Add(month + 2*time.Hour))
	assert.Equal(t, []string{"1 key_signs C", "2 key_signs C"}, look())

	happened = nil
	_, err = rings[1].Rotate(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, happened, "who calls it reports it")
}

// The server goes on to sign when a change of keys is not on record, and says
// so.
func TestKeyRingEventsAreLost(t *testing.T) {
	var log strings.Builder
	ring := newRing(t, authserver.NewMemory(), newClock(epoch), func(config *authserver.KeyRingConfig) {
		config.Record = func(context.Context, authserver.Event) error { return errors.New("no space left on device") }
		config.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	})
	_, err := ring.KeySet(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(log.String(), `msg="change of keys not on record"`), log.String())
}
