package sneck

import (
	"context"
	"errors"
	"time"
)

// Both returns a Verifier for which a token must be good twice: for local,
// which is asked first and should cost little, such as a jwt.Verifier, and for
// remote, which may know more, such as an introspection client. Use it where
// a signature alone is too little, as a revoked JWT stays valid until it
// expires, and an answer alone is too little, as it says nothing of who made
// the token.
//
//	sneck.First(sneck.Both(local, cached), cached)
//
// An error of local is the answer: ErrUnrecognized lets [First] go on, and
// nothing that local refuses reaches remote. After that a token that remote
// does not recognize is refused with ErrInvalid, and finally, so that no
// verifier further on makes do with less. If remote could not find out, then
// that is the answer; local alone is not enough.
//
// The two must not contradict each other in the issuer, subject, client, ID
// or confirmation: whatever both state must be the same, or the token is
// refused. The Token that results is as narrow as either: the scopes that
// both grant, the audience that both name (or the one that states any), the
// earlier expiry, the later beginning, the earlier VerifiedAt. Note that an
// authority which answers without "scope" grants none. What only one of them
// states is taken from it, and where a difference is no contradiction, remote
// goes first: its answer is younger.
func Both(local, remote Verifier) Verifier { return both{local, remote} }

type both struct{ local, remote Verifier }

func (b both) Verify(ctx context.Context, token string) (*Token, error) {
	l, err := b.local.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	r, err := b.remote.Verify(ctx, token)
	if errors.Is(err, ErrUnrecognized) {
		return nil, errOneSided
	}
	if err != nil {
		return nil, err
	}
	if l == nil || r == nil {
		return nil, errNoToken
	}
	return narrow(l, r)
}

var (
	errOneSided  = &refusal{"sneck: token is recognized by one of two verifiers only"}
	errConflict  = &refusal{"sneck: two verifiers contradict each other about the token"}
	errNoToken   = errors.New("sneck: a verifier returned neither a token nor an error")
	errAudiences = &refusal{"sneck: two verifiers name no common audience of the token"}
)

// narrow returns what both tokens say, as a new Token.
func narrow(l, r *Token) (*Token, error) {
	t := *r
	agree := true
	same := func(dst *string, other string) {
		if *dst == "" {
			*dst = other
		}
		agree = agree && (other == "" || *dst == other)
	}
	same(&t.Issuer, l.Issuer)
	same(&t.Subject, l.Subject)
	same(&t.ClientID, l.ClientID)
	same(&t.ID, l.ID)
	if t.Confirmation == nil {
		t.Confirmation = l.Confirmation
	}
	if !agree || l.Confirmation != nil && *t.Confirmation != *l.Confirmation {
		return nil, errConflict
	}

	t.Scopes = r.Scopes.Without(r.Scopes.Without(l.Scopes))
	switch {
	case len(t.Audience) == 0:
		t.Audience = l.Audience
	case len(l.Audience) > 0:
		if t.Audience = common(r.Audience, l); t.Audience == nil {
			return nil, errAudiences
		}
	}

	t.Username = either(r.Username, l.Username)
	t.Type = either(r.Type, l.Type)
	t.ACR = either(r.ACR, l.ACR)
	t.IssuedAt = earlier(r.IssuedAt, l.IssuedAt)
	t.Expires = earlier(r.Expires, l.Expires)
	t.AuthTime = earlier(r.AuthTime, l.AuthTime)
	t.VerifiedAt = earlier(r.VerifiedAt, l.VerifiedAt)
	if t.NotBefore.Before(l.NotBefore) {
		t.NotBefore = l.NotBefore
	}
	t.Source = l.Source + "+" + r.Source
	if t.RawClaims == nil {
		t.RawClaims = l.RawClaims
	}
	return &t, nil
}

// common returns the names of the audience that the token is also meant for.
func common(audience []string, t *Token) []string {
	var names []string
	for _, name := range audience {
		if t.MeantFor(name) {
			names = append(names, name)
		}
	}
	return names
}

func either(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// earlier returns the earlier of two moments, of which either may be zero for
// not stated.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
