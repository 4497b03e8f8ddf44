package authserver

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/dpop"
)

// A confirmation binds a token to a key of its holder (RFC 7800, section 3).
type confirmation struct {
	// JKT is the thumbprint of a DPoP key (RFC 9449, section 6.1).
	JKT string `json:"jkt,omitempty"`
	// X5T is that of a certificate (RFC 8705, section 3.1).
	X5T string `json:"x5t#S256,omitempty"`
}

func (c confirmation) isZero() bool { return c == confirmation{} }

// public returns it as resource servers have it.
func (c confirmation) public() *sneck.Confirmation {
	if c.isZero() {
		return nil
	}
	return &sneck.Confirmation{JKT: c.JKT, X5TS256: c.X5T}
}

// tokenType returns how a token that is bound so has to be presented.
func (c confirmation) tokenType() string {
	if c.JKT != "" {
		return typeDPoP
	}
	return typeBearer
}

const typeDPoP = "DPoP"

// claims returns the claims of an access token that is bound.
func (c confirmation) claims(claims json.RawMessage) (json.RawMessage, error) {
	if c.isZero() {
		return claims, nil
	}
	object, err := json.Marshal(map[string]confirmation{"cnf": c})
	return joinObjects(object, claims), err
}

// meets reports whether who has proved to hold these keys may use what is
// bound to others: it is the same key, or none was asked for.
func (c confirmation) meets(bound confirmation) bool {
	same := func(have, want string) bool {
		return want == "" || subtle.ConstantTimeCompare([]byte(have), []byte(want)) == 1
	}
	return same(c.JKT, bound.JKT) && same(c.X5T, bound.X5T)
}

const (
	codeInvalidProof = "invalid_dpop_proof"
	codeUseNonce     = "use_dpop_nonce"

	kindProof Kind = "dpop"
	// proofWindow is how far the time of a proof may be from now.
	proofWindow = time.Minute
)

// confirm returns which keys the sender of a token request has proved to hold,
// as far as tokens are to be bound to them, and the proof if there is one, which
// is to be spent.
func (s *Server) confirm(r *http.Request, c *Client) (confirmation, *dpop.Proof, error) {
	var cnf confirmation
	if c.CertificateBound {
		if cnf.X5T = s.thumbprint(r); cnf.X5T == "" {
			return cnf, nil, invalidRequest("the tokens of the client are bound to its certificate, and it shows none")
		}
	}
	fields := r.Header["Dpop"]
	if len(fields) == 0 {
		if c.DPoPBound {
			return cnf, nil, &Error{Code: codeInvalidProof, Description: "the tokens of the client are bound to a key: send a DPoP proof"}
		}
		return cnf, nil, nil
	}
	proof, err := s.checkProof(fields)
	if errors.Is(err, errNonce) {
		return cnf, nil, &Error{Code: codeUseNonce, Description: "the DPoP proof must hold the nonce of this answer"}
	}
	if err != nil {
		return cnf, nil, &Error{Code: codeInvalidProof, Description: "the DPoP proof is not valid here", Err: err}
	}
	cnf.JKT = proof.Key.Thumbprint()
	return cnf, proof, nil
}

// checkProof checks all of a proof but whether it is used the first time (RFC
// 9449, section 4.3).
func (s *Server) checkProof(fields []string) (*dpop.Proof, error) {
	if len(fields) > 1 {
		return nil, errors.New("there is more than one")
	}
	p, err := dpop.Parse(fields[0])
	if err != nil {
		return nil, err
	}
	switch age := s.config.Now().Sub(time.Unix(p.IssuedAt, 0)); {
	case p.Method != http.MethodPost:
		return nil, errors.New("it is for another method")
	case !s.isTokenEndpoint(p.URL):
		return nil, errors.New("it is for another URL than that of the token endpoint")
	case age > proofWindow || age < -proofWindow:
		return nil, fmt.Errorf("it is from %v ago", age.Truncate(time.Second))
	}
	if err := p.Verify(); err != nil {
		return nil, err
	}
	if !s.nonces.Good(p.Nonce, s.config.Now()) {
		return nil, errNonce
	}
	return p, nil
}

// errNonce means that a proof is good but for its nonce.
var errNonce = errors.New("it has not the nonce that it needs")

// isTokenEndpoint reports whether a URL, in its normal form, is one of the
// token endpoint.
func (s *Server) isTokenEndpoint(url string) bool {
	bases := []string{s.config.Issuer}
	if m := s.config.MutualTLS; m != nil && m.Endpoints != "" {
		bases = append(bases, m.Endpoints)
	}
	for _, base := range bases {
		if normal, err := dpop.Normal(base + pathToken); err == nil && normal == url {
			return true
		}
	}
	return false
}

// spendProof uses up the proof of the request, once. Of who has authenticated
// that happens at the start; of public clients, for which anybody can make as
// many proofs as they like, not before it yields something or could end
// something: nobody else fills the store.
func (r *GrantRequest) spendProof(ctx context.Context) error {
	proof := r.proof
	if proof == nil {
		return nil
	}
	r.proof = nil
	return r.server.spendProof(ctx, proof)
}

// spendProof uses a proof up, on all servers that share the store, and also if
// all that the client has is revoked.
func (s *Server) spendProof(ctx context.Context, p *dpop.Proof) error {
	issued := time.Unix(p.IssuedAt, 0)
	err := s.config.Store.Create(ctx, Record{
		Key: KeyOf(fmt.Sprintf("proof %q by %s", p.ID, p.Key.Thumbprint())), Kind: kindProof,
		Issued: issued, Expires: issued.Add(proofWindow + serverLeeway),
	})
	if errors.Is(err, ErrExists) {
		return &Error{Code: codeInvalidProof, Description: "the DPoP proof is not valid here", Err: errors.New("it was used before")}
	}
	if err != nil {
		return unavailable(fmt.Errorf("spend a proof: %w", err))
	}
	return nil
}
