package authserver_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/authserver"
)

// A heard store notes of which kinds the records are that it is given, and
// whether their keys are random.
type heard struct {
	authserver.Store
	kinds map[authserver.Kind]bool
}

func (h heard) note(records []authserver.Record) {
	for _, r := range records {
		h.kinds[r.Kind] = r.Random
	}
}

func (h heard) Create(ctx context.Context, records ...authserver.Record) error {
	h.note(records)
	return h.Store.Create(ctx, records...)
}

func (h heard) Spend(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
	h.note(s.Yield)
	return h.Store.Spend(ctx, s)
}

// A store looks for no key of what the server makes up by chance, and for all
// others: of what somebody chose, what follows from something else, and what a
// generator of the user's yields.
func TestWhichKeysAreRandom(t *testing.T) {
	made := map[authserver.Kind]bool{}
	w := newDeviceWorld(t, func(c *authserver.Config) { c.Store = heard{c.Store, made}; c.RefreshGrace = time.Minute })
	first := w.login(t, "web")
	w.pair(t, refresh(first.Refresh), as("web")...)
	w.device(t)
	want := map[authserver.Kind]bool{
		authserver.KindCode: true, authserver.KindAccess: true, authserver.KindRefresh: true, "device": true,
		"user_code": false, "generation": false,
	}
	assert.Equal(t, want, made)

	given := map[authserver.Kind]bool{}
	fixed := func(name string) authserver.TokenGenerator {
		n := 0
		return func(context.Context, *authserver.TokenRequest) (string, error) {
			n++
			return name + string(rune('a'+n)), nil
		}
	}
	w = newDeviceWorld(t, func(c *authserver.Config) {
		c.Store, c.AccessToken, c.RefreshToken = heard{c.Store, given}, fixed("access"), fixed("refresh")
		c.RefreshGrace = time.Minute
	})
	first = w.login(t, "web")
	w.pair(t, refresh(first.Refresh), as("web")...)
	w.device(t)
	want = maps.Clone(want)
	want[authserver.KindAccess], want[authserver.KindRefresh] = false, false
	assert.Equal(t, want, given)
}
