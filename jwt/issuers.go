package jwt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sneckauth/sneck"
)

// issuers finds an issuer by its exact ID: in the list, which never changes,
// or by asking Lookup, whose answers are held for a while.
type issuers struct {
	listed map[string]*issuer
	lookup func(ctx context.Context, iss string) (Issuer, error)
	ttl    time.Duration
	max    int
	fetch  Fetch
	now    func() time.Time

	mu     sync.Mutex
	held   map[string]heldIssuer
	closed bool
}

type heldIssuer struct {
	*issuer
	until time.Time
}

// find returns the issuer, or an error that wraps [sneck.ErrUnrecognized] if
// it is not one of ours.
func (t *issuers) find(ctx context.Context, iss []byte) (*issuer, error) {
	if is := t.listed[string(iss)]; is != nil {
		return is, nil
	}
	if t.lookup == nil || len(iss) == 0 || len(iss) > maxIssuerBytes {
		return nil, sneck.ErrUnrecognized
	}
	t.mu.Lock()
	held, ok := t.held[string(iss)]
	t.mu.Unlock()
	if ok && t.now().Before(held.until) {
		return held.issuer, nil
	}
	return t.ask(ctx, string(iss))
}

func (t *issuers) ask(ctx context.Context, iss string) (*issuer, error) {
	asked := t.now()
	answer, err := t.lookup(ctx, iss)
	if errors.Is(err, sneck.ErrUnrecognized) {
		t.drop(iss)
		return nil, sneck.ErrUnrecognized
	}
	if err != nil {
		return nil, &sneck.UnavailableError{Err: fmt.Errorf("jwt: look up issuer: %w", err)}
	}
	if answer.ID != iss {
		return nil, &sneck.UnavailableError{Err: errors.New("jwt: Lookup returned another issuer than the one it was asked for")}
	}
	return t.hold(answer, asked.Add(t.ttl))
}

// hold takes an answer of Lookup in the place of what is held for the issuer,
// and closes what is no longer used. A key set that was fetched for the same
// issuer stays.
func (t *issuers) hold(answer Issuer, until time.Time) (*issuer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, &sneck.UnavailableError{Err: errClosed}
	}
	old, again := t.held[answer.ID]
	var reuse *Remote
	if again {
		reuse = old.owned
	}
	is, err := answer.compile(t.fetch, reuse)
	if err != nil {
		return nil, &sneck.UnavailableError{Err: err}
	}
	if again && old.owned != is.owned {
		old.stop()
	}
	if !again && len(t.held) >= t.max {
		t.evict()
	}
	t.held[answer.ID] = heldIssuer{is, until}
	return is, nil
}

// drop forgets an issuer that is no longer one of ours.
func (t *issuers) drop(iss string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.held[iss]; ok {
		old.stop()
		delete(t.held, iss)
	}
}

// evict drops the issuer whose time is up first.
func (t *issuers) evict() {
	var first string
	for id, held := range t.held {
		if first == "" || held.until.Before(t.held[first].until) {
			first = id
		}
	}
	t.held[first].stop()
	delete(t.held, first)
}

func (t *issuers) close() {
	t.mu.Lock()
	t.closed = true
	held := t.held
	t.held = nil
	t.mu.Unlock()
	for _, is := range held {
		is.close()
	}
	for _, is := range t.listed {
		is.close()
	}
}
