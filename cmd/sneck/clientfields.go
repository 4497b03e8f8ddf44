package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver/admin"
)

// clientFields are what can be said about a client. What is nil is not said.
type clientFields struct {
	Name     *string  `placeholder:"TEXT" help:"Name for people."`
	Scope    []string `sep:"none" placeholder:"SCOPE" help:"Scopes that the client may get tokens for, separated by spaces or by repeating the flag."`
	Default  []string `name:"default-scope" sep:"none" placeholder:"SCOPE" help:"Those that it gets if it asks for none."`
	Require  []string `sep:"none" placeholder:"SCOPE" help:"Those that people can not leave out."`
	Audience []string `sep:"none" placeholder:"AUD" help:"API that the client's tokens are meant for; may be repeated."`
	Resource []string `sep:"none" placeholder:"URI" help:"What it may ask for besides (RFC 8707); may be repeated."`
	Redirect []string `name:"redirect-uri" sep:"none" placeholder:"URI" help:"Where people come back to who have signed in: the client then acts for them, not for itself; may be repeated."`
	Schemes  []string `name:"redirect-scheme" sep:"none" placeholder:"SCHEME" help:"Scheme that these may have; those that they have if left out; may be repeated."`
	Grant    []string `sep:"none" placeholder:"TYPE" help:"Grant type that the client may use, such as client_credentials; may be repeated."`

	Introspect *bool    `negatable:"" help:"Allow the client, an API, to introspect tokens."`
	Serves     []string `sep:"none" placeholder:"AUD" help:"Audience whose tokens it may introspect, besides its own ID; may be repeated."`

	TokenTTL *time.Duration `name:"token-ttl" placeholder:"DURATION" help:"Life of the client's access tokens, such as 15m; 0 for the server's default."`
	Format   *string        `name:"token-format" placeholder:"FORMAT" help:"Form of the client's access tokens, opaque or jwt; the server's default if empty."`
	DPoP     *bool          `name:"dpop-bound" negatable:"" help:"Have the client prove the key that its tokens are bound to (DPoP, RFC 9449) with every request for one."`
	Bound    *bool          `name:"certificate-bound" negatable:"" help:"Bind the client's tokens to its TLS certificate (RFC 8705)."`

	AuthMethod *string `placeholder:"METHOD" help:"How the client authenticates: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth or self_signed_tls_client_auth; either of the first two if empty; none makes it public."`
	Algorithm  *string `name:"auth-algorithm" placeholder:"ALG" help:"What it signs with to authenticate; whatever its keys are for if empty."`
	JWKS       *string `name:"jwks" placeholder:"FILE" help:"File with the client's public keys, a JWK Set."`
	JWKSURI    *string `name:"jwks-uri" placeholder:"URL" help:"Where these can be had instead."`
	Subject    *string `name:"certificate-subject" placeholder:"DN" help:"Subject of the client's certificate, for tls_client_auth (RFC 4514)."`
	DNS        *string `name:"certificate-dns" placeholder:"HOST" help:"DNS name in it, instead of the subject."`
	URI        *string `name:"certificate-uri" placeholder:"URI" help:"URI in it, instead of the subject."`
	IP         *string `name:"certificate-ip" placeholder:"IP" help:"IP address in it, instead of the subject."`
	Email      *string `name:"certificate-email" placeholder:"EMAIL" help:"Email address in it, instead of the subject."`
}

// apply writes what was said into settings. What is empty is taken away.
func (f *clientFields) apply(s *admin.ClientSettings) error {
	for to, from := range map[*string]*string{
		&s.Name: f.Name, &s.TokenFormat: f.Format, &s.AuthMethod: f.AuthMethod, &s.AuthAlgorithm: f.Algorithm,
		&s.JWKSURI: f.JWKSURI, &s.CertificateSubject: f.Subject, &s.CertificateDNS: f.DNS, &s.CertificateURI: f.URI,
		&s.CertificateIP: f.IP, &s.CertificateEmail: f.Email,
	} {
		if from != nil {
			*to = *from
		}
	}
	for to, from := range map[*bool]*bool{&s.Introspect: f.Introspect, &s.DPoPBound: f.DPoP, &s.CertificateBound: f.Bound} {
		if from != nil {
			*to = *from
		}
	}
	for to, from := range map[*string][]string{&s.Scope: f.Scope, &s.DefaultScope: f.Default, &s.RequiredScope: f.Require} {
		if from != nil {
			*to = strings.TrimSpace(strings.Join(from, " "))
		}
	}
	for to, from := range map[*[]string][]string{
		&s.Audience: f.Audience, &s.Resources: f.Resource, &s.RedirectURIs: f.Redirect, &s.RedirectSchemes: f.Schemes,
		&s.Grants: f.Grant, &s.Serves: f.Serves,
	} {
		if from != nil {
			*to = slices.DeleteFunc(slices.Clone(from), func(value string) bool { return value == "" })
		}
	}
	if f.Redirect != nil && f.Schemes == nil {
		s.RedirectSchemes = ownSchemes(s.RedirectURIs)
	}
	if len(s.Serves) > 0 && !s.Introspect {
		return usageError(errors.New("--serves without --introspect has no effect"), "add --introspect")
	}
	return errors.Join(f.applyTTL(s), f.applyJWKS(s))
}

func (f *clientFields) applyTTL(s *admin.ClientSettings) error {
	if f.TokenTTL == nil {
		return nil
	}
	if *f.TokenTTL < 0 || *f.TokenTTL%time.Second != 0 {
		return usageError(fmt.Errorf("--token-ttl %v is not in whole seconds", *f.TokenTTL), "--token-ttl 15m")
	}
	s.TokenTTL = int64(*f.TokenTTL / time.Second)
	return nil
}

func (f *clientFields) applyJWKS(s *admin.ClientSettings) (err error) {
	switch {
	case f.JWKS == nil:
	case *f.JWKS == "":
		s.JWKS = nil
	default:
		if s.JWKS, err = readFile(*f.JWKS); err != nil {
			return fmt.Errorf("%w (hint: look at --jwks)", err)
		}
	}
	return nil
}

// ownSchemes returns the schemes of the URIs, if one is an application's own;
// else the server's list is good enough.
func ownSchemes(uris []string) []string {
	var schemes []string
	own := false
	for _, uri := range uris {
		scheme, _, _ := strings.Cut(strings.ToLower(uri), ":")
		own = own || scheme != "http" && scheme != "https"
		if !slices.Contains(schemes, scheme) {
			schemes = append(schemes, scheme)
		}
	}
	if !own {
		return nil
	}
	return schemes
}
