package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck"
)

// A Revocation names tokens by exactly one of Subject, ClientID, TokenID and
// Token.
type Revocation struct {
	// Issuer limits Subject, ClientID and TokenID to the tokens of one
	// authority; empty means of any. Tokens whose issuer is not known match
	// every Issuer.
	Issuer string

	Subject  string // all tokens of a resource owner ("sub")
	ClientID string // all tokens of a client ("client_id")
	TokenID  string // the token with this identifier ("jti")
	Token    string // the token itself

	// Before voids only what was asked about before it; zero, or a moment in
	// the future, means now.
	Before time.Time
}

// Revoke makes every remembered answer void that matches r and was asked for
// before r.Before: the next request asks anew. It holds for questions that
// are under way, and for other processes that share a [Bus].
//
// This process obeys at once, whatever is returned: the error says that r is
// malformed, or that the others could not be told.
func (c *Cache) Revoke(ctx context.Context, r Revocation) error {
	n, err := c.notice(r)
	if err != nil {
		return err
	}
	c.apply(n, r.Before)
	if err := c.send(ctx, n); err != nil {
		return fmt.Errorf("cache: revoked in this process only: %w", err)
	}
	return nil
}

// Forget makes this process ask anew about the token. Unlike [Cache.Revoke]
// it tells no other.
func (c *Cache) Forget(token string) {
	if n, err := c.notice(Revocation{Token: token}); err == nil {
		c.apply(n, time.Time{})
	}
}

// A notice is a Revocation as it travels: the token is named by a hash.
type notice struct {
	Issuer, Subject, ClientID, TokenID, Ref string
	Origin                                  uint64
}

func (c *Cache) notice(r Revocation) (notice, error) {
	n := notice{Issuer: r.Issuer, Subject: r.Subject, ClientID: r.ClientID, TokenID: r.TokenID, Origin: c.origin}
	named := 0
	for _, s := range []string{r.Subject, r.ClientID, r.TokenID, r.Token} {
		if s != "" {
			named++
		}
	}
	if named != 1 {
		return n, fmt.Errorf("cache: a revocation names %d of Subject, ClientID, TokenID and Token (hint: name exactly one)", named)
	}
	if r.Token != "" {
		if len(r.Token) > sneck.MaxTokenBytes {
			return n, errors.New("cache: the token to revoke is too long to be one")
		}
		n.Ref = c.ref(c.tagger.tag(r.Token), r.Token)
	}
	return n, nil
}

// apply sets the watermark.
func (c *Cache) apply(n notice, before time.Time) {
	c.counters.revocations.Add(1)
	now := c.clock()
	limit := now.mono
	if !before.IsZero() {
		limit -= int64(max(time.Unix(0, now.wall).Sub(before), 0))
	}
	m := mark{issuer: n.Issuer}
	switch {
	case n.Ref != "":
		m = mark{markToken, "", n.Ref}
	case n.Subject != "":
		m.kind, m.value = markSubject, n.Subject
	case n.ClientID != "":
		m.kind, m.value = markClient, n.ClientID
	default:
		m.kind, m.value = markID, n.TokenID
	}
	c.marks.add(m, limit, now.mono)
}
