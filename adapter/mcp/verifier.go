package mcp

import (
	"context"
	"errors"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// TokenVerifier returns the guard as a verifier for the SDK's
// [auth.RequireBearerToken]: it checks audience, expiry, sender constraint and
// whatever else the guard is configured for, and leaves the scopes to the
// options of the SDK, which asks for all of a list.
//
// The SDK answers, as of version 1.8.0: 401 for a token that is refused; 400
// for a request that does not carry exactly one; and 500 for an outage,
// without Retry-After, as it has no error that leads to 503. It sends the text
// of an error to the client, so these say no more than that; the cause is in
// the guard's log. Its challenges have neither "error" nor what is specific to
// DPoP, and its 403 asks for the same scopes whatever the tool. Only requests
// with the scheme Bearer get here.
//
// Where that is too little, put the guard before the SDK: [WithTokenInfo].
func TokenVerifier(g *middleware.Guard) auth.TokenVerifier {
	return func(ctx context.Context, _ string, r *http.Request) (*auth.TokenInfo, error) {
		if r == nil {
			return nil, errUnavailable
		}
		// The guard takes the token from the request, as it is stricter about
		// what a request may look like.
		d := g.Check(r.WithContext(ctx), middleware.Policy{Scopes: scopes.AnyToken()})
		switch status := d.Status(); {
		case d.Allowed && d.Token != nil:
			return TokenInfo(d.Token), nil
		case status == http.StatusBadRequest:
			return nil, errMalformed
		case status == http.StatusServiceUnavailable:
			return nil, errUnavailable
		}
		return nil, auth.ErrInvalidToken
	}
}

var (
	errUnavailable = errors.New("the access token could not be checked, try again later")
	errMalformed   = malformed{}
)

// malformed is an [auth.ErrOAuth], which the SDK answers with 400.
type malformed struct{}

func (malformed) Error() string        { return "the request must carry exactly one well-formed access token" }
func (malformed) Is(target error) bool { return target == auth.ErrOAuth }
