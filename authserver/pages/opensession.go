package pages

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// A Session is somewhere a person is signed in.
type Session struct {
	// Ref names it to who may end it, and does not lead to its cookie.
	Ref string `json:"id"`
	// Agent is the browser, as far as that is known.
	Agent string `json:"agent,omitempty"`
	// Since is when they signed in.
	Since time.Time `json:"since"`
	// Seen is when the session was last renewed.
	Seen time.Time `json:"seen"`
	// Current says that it is the one of who asks.
	Current bool `json:"-"`
}

// Sessions returns where somebody is signed in, the one that was used last
// first.
func (a *Accounts) Sessions(ctx context.Context, id string) ([]Session, error) {
	return listSessions(ctx, a.store, a.now(), id, "")
}

// EndSession ends the session with the Ref, and reports whether there was one.
func (a *Accounts) EndSession(ctx context.Context, id, ref string) (bool, error) {
	return endSessionOf(ctx, a.store, id, ref)
}

// EndSessions signs somebody out everywhere.
func (a *Accounts) EndSessions(ctx context.Context, id string) error {
	return a.endSessions(ctx, id, "")
}

// listSessions returns where somebody is signed in; the session of the family
// current is the first.
func listSessions(ctx context.Context, store authserver.Lister, now time.Time, subject, current string) ([]Session, error) {
	records, err := list(ctx, store, kindSession, authserver.Selector{Subject: subject}, maxRecords)
	if err != nil {
		return nil, err
	}
	byFamily := map[string]Session{}
	for _, r := range records {
		if r.ExpiredAt(now) || !r.Spent.IsZero() && r.Family != current {
			continue
		}
		extra, err := decode[sessionExtra](r)
		if err != nil {
			return nil, err
		}
		s := Session{
			Ref: familyReference(r.Family), Agent: agentName(extra.Agent), Since: time.Unix(extra.SignedIn, 0),
			Seen: r.Issued, Current: r.Family == current,
		}
		if before, ok := byFamily[r.Family]; !ok || before.Seen.Before(s.Seen) {
			byFamily[r.Family] = s
		}
	}
	var open []Session
	for _, s := range byFamily {
		open = append(open, s)
	}
	slices.SortFunc(open, func(a, b Session) int {
		if a.Current != b.Current {
			if a.Current {
				return -1
			}
			return 1
		}
		return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(a.Ref, b.Ref))
	})
	return open, nil
}

// endSessionOf ends the session of somebody with the Ref, and reports whether
// there was one.
func endSessionOf(ctx context.Context, store authserver.Lister, subject, ref string) (bool, error) {
	records, err := list(ctx, store, kindSession, authserver.Selector{Subject: subject}, maxRecords)
	if err != nil {
		return false, err
	}
	for _, r := range records {
		if familyReference(r.Family) == ref {
			n, err := store.Revoke(ctx, authserver.Selector{Family: r.Family, Subject: subject})
			return n > 0, err
		}
	}
	return false, nil
}
