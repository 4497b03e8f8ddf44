package authtest

import (
	"context"
	"fmt"
	"time"

	"github.com/sneckauth/sneck"
)

// A MapVerifier is a sneck.Verifier that knows exactly the tokens in the map.
// Any other is refused with [sneck.ErrInvalid]. It looks at nothing but the
// key: an expired Token is returned as it is. It is safe for concurrent use as
// long as the map does not change.
type MapVerifier map[string]*sneck.Token

// Verify returns a copy of the Token in the map that says it was verified now.
func (m MapVerifier) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	known := m[token]
	if known == nil || !sneck.ValidToken(token) {
		return nil, fmt.Errorf("authtest: %w: not in the map", sneck.ErrInvalid)
	}
	copied := *known
	copied.VerifiedAt = time.Now()
	return &copied, nil
}
