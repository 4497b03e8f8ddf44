package sneck

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A Verifier says what a token means.
//
// Verify returns a non-nil Token, or an error of one of three kinds, told
// apart with [errors.Is]:
//
//   - [ErrUnrecognized]: the token is not one of this verifier's; another may
//     know it. [First] asks the next.
//   - [ErrInvalid]: the token is expired, revoked, unknown, or malformed.
//     This is final.
//   - anything else: the verifier could not find out. An [UnavailableError]
//     may say when to try again.
//
// Verify is called with the bytes a client sent, so it must refuse with
// ErrInvalid what is not a [ValidToken] before it uses the token in any way.
// It must not keep or log the token, must be safe for concurrent use, and
// must return soon after ctx is done. It says nothing about scopes, audience
// or the route: that is decided elsewhere, for every request anew.
type Verifier interface {
	Verify(ctx context.Context, token string) (*Token, error)
}

// A VerifierAt is a Verifier that can be told the time by a caller who has just
// read the clock: for an answer from memory, that is a quarter of all work. A
// token that VerifyAt returns was good at the given moment or later, and one
// with a VerifiedAt from before that moment was remembered. Like Verify it
// refuses with ErrInvalid what is not a [ValidToken].
type VerifierAt interface {
	Verifier
	VerifyAt(ctx context.Context, token string, now time.Time) (*Token, error)
}

// VerifierFunc makes a Verifier of a function. The function is called only
// with a [ValidToken]; everything else is refused with [ErrInvalid].
type VerifierFunc func(ctx context.Context, token string) (*Token, error)

// Verify calls f.
func (f VerifierFunc) Verify(ctx context.Context, token string) (*Token, error) {
	if !ValidToken(token) {
		return nil, errMalformed
	}
	return f(ctx, token)
}

// The two definite kinds of "no". An error that wraps neither means that the
// verifier could not find out, and must never be taken for a verdict.
var (
	// ErrUnrecognized means that the token is not one of the verifier's.
	ErrUnrecognized = errors.New("sneck: token not recognized by this verifier")
	// ErrInvalid means that the token is refused, finally.
	ErrInvalid = errors.New("sneck: token is not valid")
)

var errMalformed = &refusal{"sneck: token has characters outside of b64token"}

// A refusal is an ErrInvalid with a reason of its own and no further state.
type refusal struct{ reason string }

func (e *refusal) Error() string        { return e.reason }
func (e *refusal) Is(target error) bool { return target == ErrInvalid }

// An UnavailableError says that a verifier could not find out, and when it is
// worth to try again.
type UnavailableError struct {
	// Err is the cause, for logs. It must not contain the token.
	Err error
	// RetryAfter is how long a client should wait; zero if unknown.
	RetryAfter time.Duration
}

func (e *UnavailableError) Error() string { return "sneck: could not verify: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// MaxTokenBytes is the length of the longest [ValidToken].
const MaxTokenBytes = 8192

// ValidToken reports whether token is a b64token (RFC 6750, section 2.1) of
// at most [MaxTokenBytes] bytes: letters, digits, "-", ".", "_", "~", "+" and
// "/", then any number of "=".
func ValidToken(token string) bool {
	body := strings.TrimRight(token, "=")
	if body == "" || len(token) > MaxTokenBytes {
		return false
	}
	for i := range len(body) {
		if !tokenByte[body[i]] {
			return false
		}
	}
	return true
}

var tokenByte = [256]bool{
	'-': true, '.': true, '_': true, '~': true, '+': true, '/': true,
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'A': true, 'B': true, 'C': true, 'D': true, 'E': true, 'F': true, 'G': true, 'H': true, 'I': true, 'J': true,
	'K': true, 'L': true, 'M': true, 'N': true, 'O': true, 'P': true, 'Q': true, 'R': true, 'S': true, 'T': true,
	'U': true, 'V': true, 'W': true, 'X': true, 'Y': true, 'Z': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true, 'g': true, 'h': true, 'i': true, 'j': true,
	'k': true, 'l': true, 'm': true, 'n': true, 'o': true, 'p': true, 'q': true, 'r': true, 's': true, 't': true,
	'u': true, 'v': true, 'w': true, 'x': true, 'y': true, 'z': true,
}

// First returns a Verifier that asks each of the given ones in turn until one
// recognizes the token. Any answer but [ErrUnrecognized] is final, so that an
// outage of the right authority never sends a token to the wrong one.
//
// Let each verifier recognize its own tokens by something only they have: a
// prefix (see [Prefixed]), or the issuer of a JWT. A token that is tried on
// one authority after the other has been given away (RFC 9700, section 4.9).
func First(verifiers ...Verifier) Verifier { return first(verifiers) }

type first []Verifier

func (vs first) Verify(ctx context.Context, token string) (*Token, error) {
	for _, v := range vs {
		t, err := v.Verify(ctx, token)
		if !errors.Is(err, ErrUnrecognized) {
			return t, err
		}
	}
	return nil, ErrUnrecognized
}

// Prefixed returns a Verifier that shows v only tokens that begin with one of
// the prefixes, and recognizes no others.
func Prefixed(v Verifier, prefix ...string) Verifier {
	return prefixed{v, append([]string(nil), prefix...)}
}

type prefixed struct {
	next     Verifier
	prefixes []string
}

func (p prefixed) Verify(ctx context.Context, token string) (*Token, error) {
	for _, prefix := range p.prefixes {
		if strings.HasPrefix(token, prefix) {
			return p.next.Verify(ctx, token)
		}
	}
	return nil, ErrUnrecognized
}
