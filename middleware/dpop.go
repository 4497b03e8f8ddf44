package middleware

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck/internal/dpop"
)

// A DPoP says how tokens that are bound to a key of the client are taken (RFC
// 9449). The zero DPoP refuses them.
type DPoP struct {
	// Mode says whether such tokens are taken, or nothing else.
	Mode Mode
	// External is the URL under which clients reach the root of what the
	// guard guards: scheme, host, and a path if there is one that the guard
	// does not see. It comes from here and never from the Host header or a
	// proxy's, which clients can choose.
	External string
	// Window is how far the time of a proof may be from now, in either
	// direction; one minute if zero, ten at most.
	Window time.Duration
	// Algorithms are the signatures that are taken; all that are supported
	// if empty: ES256, EdDSA, ES384, ES512, PS256, RS256.
	Algorithms []string
	// Replays remembers used proofs; nil is a [ReplayMemory] of this guard.
	Replays ReplayStore
	// NonceKey, if set, has the guard demand proofs that hold a nonce which
	// it handed out not long ago (RFC 9449, section 9), so that nobody can
	// make proofs ahead of time. It is a secret of at least 32 bytes, the
	// same for all guards that serve the same URLs.
	NonceKey []byte
	// NonceTTL is how long a nonce is good, at least; five minutes if zero.
	// It is good for at most twice as long.
	NonceTTL time.Duration

	nonces *dpop.Nonces
}

const (
	defaultWindow = time.Minute
	maxWindow     = 10 * time.Minute
)

func (d *DPoP) check(mistake func(format string, args ...any)) {
	if !d.Mode.known() {
		mistake("DPoP.Mode %q is none of off, optional, strict", d.Mode)
	}
	if !d.Mode.on() {
		if d.External != "" || d.NonceKey != nil || d.Replays != nil {
			mistake("DPoP is configured but off (hint: set DPoP.Mode)")
		}
		return
	}
	switch _, err := dpop.Normal(d.External); {
	case err != nil:
		mistake("DPoP.External %q is not an absolute URL (hint: https://api.example.com)", d.External)
	case strings.ContainsAny(d.External, "?#"):
		mistake("DPoP.External %q has a query or a fragment", d.External)
	}
	if d.Window < 0 || d.Window > maxWindow {
		mistake("DPoP.Window %v is not between 0 and %v", d.Window, maxWindow)
	}
	for _, alg := range d.Algorithms {
		if !slices.Contains(dpop.Algorithms, alg) {
			mistake("DPoP.Algorithms has %q, which is not supported (hint: %s)", alg, strings.Join(dpop.Algorithms, ", "))
		}
	}
	for _, err := range dpop.CheckNonces("DPoP.", d.NonceKey, d.NonceTTL) {
		mistake("%w", err)
	}
}

// filled returns a copy with every default in its place.
func (d DPoP) filled(now func() time.Time) DPoP {
	if !d.Mode.on() {
		return d
	}
	d.External, _ = dpop.Normal(d.External)
	d.External = strings.TrimSuffix(d.External, "/")
	if d.Window == 0 {
		d.Window = defaultWindow
	}
	if len(d.Algorithms) == 0 {
		d.Algorithms = dpop.Algorithms
	}
	d.Algorithms = slices.Clone(d.Algorithms)
	if d.Replays == nil {
		d.Replays = NewReplayMemory(0, now)
	}
	d.nonces = dpop.NewNonces(d.NonceKey, "sneck DPoP-Nonce", d.NonceTTL)
	return d
}

// read returns the proof of a request for a token, after all checks that cost
// little (RFC 9449, section 4.3). What is left is for spend.
func (d *DPoP) read(r *http.Request, token string, now time.Time) (*dpop.Proof, Reason, error) {
	fields := r.Header["Dpop"]
	if len(fields) != 1 {
		return nil, ReasonProof, fmt.Errorf("middleware: %d DPoP header fields", len(fields))
	}
	p, err := dpop.Parse(fields[0])
	if err != nil {
		return nil, ReasonProof, err
	}
	hash := sha256.Sum256([]byte(token))
	switch age := now.Sub(time.Unix(p.IssuedAt, 0)); {
	case !slices.Contains(d.Algorithms, p.Key.Algorithm):
		err = errors.New("middleware: DPoP proof with an algorithm that is not taken here")
	case p.Method != r.Method:
		err = errors.New("middleware: DPoP proof for another method")
	case p.URL != d.External+dpop.NormalPath(r.URL.EscapedPath()):
		err = fmt.Errorf("middleware: DPoP proof for another URL than %s (hint: is DPoP.External what clients use?)", d.External)
	case age > d.Window || age < -d.Window:
		err = fmt.Errorf("middleware: DPoP proof from %v ago", age.Truncate(time.Second))
	case !same(p.TokenHash, base64.RawURLEncoding.EncodeToString(hash[:])):
		err = errors.New("middleware: DPoP proof for another token")
	case !d.nonces.Good(p.Nonce, now):
		return nil, ReasonNonce, nil
	}
	if err != nil {
		return nil, ReasonProof, err
	}
	return p, "", nil
}

// spend checks the signature of a proof, and that it is used the first time.
func (d *DPoP) spend(ctx context.Context, p *dpop.Proof) (Reason, error) {
	if err := p.Verify(); err != nil {
		return ReasonProof, err
	}
	// In the context of the URL (RFC 9449, section 11.1); a digest, since
	// "jti" may hold anything.
	id := sha256.Sum256([]byte(p.URL + "\x00" + p.ID))
	until := time.Unix(p.IssuedAt+1, 0).Add(d.Window)
	fresh, err := d.Replays.Spend(ctx, p.Key.Thumbprint(), base64.RawURLEncoding.EncodeToString(id[:]), until)
	switch {
	case err != nil:
		return ReasonUnavailable, err
	case !fresh:
		return ReasonReplay, nil
	}
	return "", nil
}

// same compares in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
