package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sneckauth/sneck/internal/fetch"
	"github.com/sneckauth/sneck/internal/jws"
)

// GrantJWTBearer is the grant type of [JWTBearer] (RFC 7523, section 2.1).
const GrantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// A TrustedIssuer is somebody by whose word this server takes it that a client
// may act for a person, such as the identity provider of a company.
type TrustedIssuer struct {
	// Issuer is the "iss" of its JWTs, which is compared as it is.
	Issuer string
	// JWKS is the JWK Set with its keys, or JWKSURI is where to get that, as for
	// a [Client]: at a public https URL, unless Config.Assertions says otherwise.
	JWKS    json.RawMessage
	JWKSURI string
	// Algorithm is the only one that it signs with; if empty, any of those that
	// clients can sign with.
	Algorithm string
	// Subject returns the resource owner here whom the issuer means by "sub".
	// Whom an issuer calls alice need not be the one who is called so here.
	// ErrNotFound means that there is none; an *Error is answered as it is; other
	// errors are outages.
	Subject func(ctx context.Context, sub string) (string, error)
}

// JWTBearer is the grant of a client that has a JWT about a person from an
// issuer that this server trusts (RFC 7523, section 2.1), or returns all mistakes
// in the issuers. The JWT is for this server alone, names when it expires, within
// an hour, has a "jti", and is used once. A client may use it if the grant is in
// its record, public ones too, and gets what it asks for within its scopes and
// audience. There is no refresh token: it comes again with another JWT (RFC 7521,
// section 4.1).
func JWTBearer(issuers ...TrustedIssuer) (Grant, error) {
	b := &bearer{issuers: map[string]TrustedIssuer{}}
	var errs []error
	if len(issuers) == 0 {
		errs = append(errs, errors.New("authserver: JWTBearer needs an issuer"))
	}
	for _, i := range issuers {
		errs = append(errs, i.check())
		if _, twice := b.issuers[i.Issuer]; twice {
			errs = append(errs, fmt.Errorf("authserver: the issuer %q is there twice", i.Issuer))
		}
		i.JWKS = slices.Clone(i.JWKS)
		b.issuers[i.Issuer] = i
	}
	return Grant{Type: GrantJWTBearer, Public: true, Handle: b.handle}, errors.Join(errs...)
}

// check returns what is wrong.
func (i TrustedIssuer) check() error {
	var errs []error
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("authserver: the issuer %q: "+format, append([]any{i.Issuer}, args...)...))
		}
	}
	bad(i.Issuer == "", "it has no name (hint: its \"iss\")")
	bad(i.Subject == nil, "Subject is missing, which says who is meant")
	bad((i.JWKS == nil) == (i.JWKSURI == ""), "either JWKS or JWKSURI is needed")
	bad(i.Algorithm != "" && !slices.Contains(assertionAlgorithms, jws.Canonical(i.Algorithm)), "Algorithm %q is not supported", i.Algorithm)
	if i.JWKS != nil {
		keys, err := parseClientKeys(i.JWKS, i.Algorithm)
		bad(err != nil, "JWKS: %w", err)
		bad(err == nil && len(keys.keys) == 0, "JWKS has no public key that can be used")
	}
	if i.JWKSURI != "" {
		err := fetch.Check(i.JWKSURI)
		bad(err != nil, "JWKSURI: %w", err)
	}
	return errors.Join(errs...)
}

// keys returns the issuer as the client whose keys sign.
func (i TrustedIssuer) keys() *Client {
	return &Client{ID: i.Issuer, AuthAlgorithm: i.Algorithm, JWKS: i.JWKS, JWKSURI: i.JWKSURI}
}

// A bearer is the grant and whom it trusts.
type bearer struct {
	issuers map[string]TrustedIssuer
}

func (b *bearer) handle(ctx context.Context, r *GrantRequest) (*Issue, error) {
	compact := r.Form.Get("assertion")
	if compact == "" {
		return nil, invalidRequest("assertion is missing")
	}
	// What is asked for is looked at first: the assertion is used up.
	a, err := r.asked(ctx, GrantJWTBearer)
	if err != nil {
		return nil, err
	}
	subject, err := b.use(ctx, r.server, compact)
	if err != nil {
		return nil, err
	}
	record := Record{Audience: a.Audience}
	claims, err := r.server.accept(ctx, a, &Approval{Subject: subject}, &record)
	switch {
	case errors.Is(err, errSubjectIsClient), errors.Is(err, ErrAccessDenied):
		return nil, invalidGrant(err)
	case err != nil:
		return nil, unavailable(err)
	}
	return &Issue{Subject: record.Subject, Scopes: record.Scopes, Audience: record.Audience, Claims: claims}, nil
}

// use uses an assertion up and returns about whom it is.
func (b *bearer) use(ctx context.Context, s *Server, compact string) (subject string, err error) {
	a, err := parseAssertion(compact)
	if err != nil {
		return "", invalidGrant(err)
	}
	issuer, trusted := b.issuers[a.issuer]
	now := s.config.Now()
	switch {
	case !trusted:
		err = errors.New("the issuer of the assertion is not trusted (hint: TrustedIssuer)")
	case !a.forGrant:
		err = errOtherType
	case a.subject == "":
		err = errors.New("the assertion has no \"sub\"")
	default:
		err = s.checkAssertion(a, now, maxAssertionLifetime)
	}
	if err == nil {
		err = s.verifyByKey(ctx, issuer.keys(), a)
	}
	var outage *Error
	switch {
	case errors.As(err, &outage):
		return "", outage
	case err != nil:
		return "", invalidGrant(err)
	}
	subject, err = issuer.Subject(ctx, a.subject)
	switch {
	case errors.As(err, &outage):
		return "", outage
	case errors.Is(err, ErrNotFound):
		return "", invalidGrant(fmt.Errorf("the subject of the assertion: %w", err))
	case err != nil:
		return "", unavailable(fmt.Errorf("look up the subject of an assertion: %w", err))
	}
	err = s.spendAssertion(ctx, a, now, KeyOf(fmt.Sprintf("assertion %q of issuer %q", a.id, a.issuer)))
	if errors.Is(err, ErrExists) {
		err = invalidGrant(errUsedAssertion)
	}
	return subject, err
}
