package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/jwt"
)

// The values of resource_server_introspection_auth_method.
const (
	methodBasic    = "client_secret_basic"
	methodBasicRaw = "client_secret_basic_raw"
	methodPost     = "client_secret_post"
	methodKey      = "private_key_jwt"
	methodTLS      = "tls_client_auth"
)

// The values of verify.
const (
	verifyIntrospection = "introspection"
	verifyJWT           = "jwt"
	verifyEither        = "either"
	verifyBoth          = "both"
)

// A guardBuilder makes the parts of a guard from its settings. It collects what
// is wrong with them, and goes on with something else in its place so as to
// find the rest, and what has to be closed in the end.
type guardBuilder struct {
	*guardSettings
	// mistake is told what is wrong with the setting of a key.
	mistake func(key, format string, args ...any)
	flawed  bool // it was
	// offline leaves alone what is only there where the guard runs: files with
	// secrets, certificates and keys, and Redis.
	offline bool
	logger  *slog.Logger
	metrics *guardMetrics // nil if nobody is told
	closers []func() error
}

// wrong says what is wrong with the setting of a key. The text goes on after
// the name.
func (b *guardBuilder) wrong(text, key string) {
	b.flawed = true
	b.mistake(key, "%s", text)
}

func (b *guardBuilder) closing(f func() error) { b.closers = append(b.closers, f) }

// close closes the parts, those that were made last first.
func (b *guardBuilder) close() error {
	var errs []error
	for _, f := range slices.Backward(b.closers) {
		errs = append(errs, f())
	}
	b.closers = nil
	return errors.Join(errs...)
}

// file returns where a secret comes from.
func (b *guardBuilder) file(path string) introspect.Secret {
	if b.offline {
		return func() (string, error) { return "a-secret-that-is-not-read-offline", nil }
	}
	return introspect.File(path)
}

// nobody knows no token. It stands for a Verifier that could not be made.
func nobody(context.Context, string) (*sneck.Token, error) { return nil, sneck.ErrUnrecognized }

// verifier returns who says what tokens are.
func (b *guardBuilder) verifier() sneck.Verifier {
	switch b.Verify {
	case verifyJWT:
		b.noIntrospection()
		return b.local()
	case verifyEither:
		return sneck.First(b.local(), b.introspection())
	case verifyBoth:
		local, remote := b.local(), b.introspection()
		return sneck.First(sneck.Both(local, remote), remote)
	}
	return b.introspection()
}

// noIntrospection says what is of no use without questions.
func (b *guardBuilder) noIntrospection() {
	b.useless("if verify is jwt (hint: either and both ask, too)", map[string]bool{
		"resource_server_introspection_url":           b.IntrospectionURL != "",
		"resource_server_introspection_failover_urls": b.FailoverURLs != nil,
		"resource_server_introspection_credentials":   b.Credentials != nil,
		"resource_server_introspection_signed":        b.Signed,
		"resource_server_auth_token":                  b.AuthToken != "",
		"resource_server_auth_token_file":             b.AuthTokenFile != "",
		"resource_server_token_url":                   b.TokenURL != "",
	})
}

// useless says which of the settings that are given have no effect, and why.
func (b *guardBuilder) useless(why string, given map[string]bool) {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if given[key] {
			b.wrong("has no effect "+why, key)
		}
	}
}

// introspection returns who asks.
func (b *guardBuilder) introspection() sneck.Verifier {
	config := b.tls()
	credential := b.credential(config)
	zone, err := time.LoadLocation(b.ExpZone)
	if err != nil {
		b.wrong("is no time zone (hint: such as Europe/Berlin)", "authentication_server_exp_time_zone")
	}
	cfg := introspect.Config{
		Endpoint: b.IntrospectionURL, Failover: b.FailoverURLs, Issuer: b.Issuer, Credential: credential,
		Timeout: b.QuestionTimeout, Concurrency: b.Concurrency, Rate: b.Rate, Burst: b.Burst,
		Recognize: b.recognizer(), ExpZone: zone, TLS: config, InsecureHTTP: b.InsecureHTTP, Logger: b.logger,
	}
	if b.Signed {
		cfg.Signed = &introspect.SignedAnswers{JWKS: b.JWKSURL}
		if len(b.Credentials) > 0 {
			cfg.Signed.Audience = b.Credentials[0]
		}
	}
	client, err := introspect.New(cfg)
	if err != nil {
		b.locate(err, b.credentialKey())
		return sneck.VerifierFunc(nobody)
	}
	b.closing(client.Close)
	if b.metrics != nil {
		b.metrics.watchIntrospection(client)
	}
	return client
}

// recognizer says which tokens are shown to the authority.
func (b *guardBuilder) recognizer() introspect.Recognizer {
	prefixed := func(string) error { return nil }
	if b.TokenPrefixes != nil {
		prefixed = introspect.HasPrefix(b.TokenPrefixes...)
	}
	opaque := introspect.All(introspect.Opaque, prefixed)
	switch b.Verify {
	case verifyEither: // JWTs of the issuer were looked at, and others are not its own
		return opaque
	case verifyBoth:
		ours := introspect.JWTForm{Issuers: []string{b.Issuer}}
		return func(token string) error {
			if err := ours.Recognize(token); !errors.Is(err, sneck.ErrUnrecognized) {
				return err
			}
			return opaque(token)
		}
	}
	return prefixed
}

// local returns what verifies JWTs.
func (b *guardBuilder) local() sneck.Verifier {
	if b.Issuer == "" {
		b.wrong("is missing, whose JWTs are verified (hint: issuer: https://auth.example.com)", "issuer")
		return sneck.VerifierFunc(nobody)
	}
	issuer := jwt.Issuer{ID: b.Issuer, Algorithms: b.JWTAlgorithms}
	if b.JWTProfile == "legacy" {
		issuer.Profile = jwt.Legacy
	}
	fetch := jwt.Fetch{Dir: b.JWKSDirectory, Logger: b.logger}
	if b.CAFile != "" {
		fetch.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: b.tls()}}
	}
	if b.JWKSURL != "" {
		keys, err := jwt.NewJWKS(b.JWKSURL, fetch)
		if err != nil {
			b.locate(err, "jwks_url")
			return sneck.VerifierFunc(nobody)
		}
		issuer.Keys = keys
		b.closing(keys.Close)
	}
	v, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{issuer}, MaxLifetime: b.JWTLifetime, Fetch: fetch})
	if err != nil {
		b.locate(err, "verify")
		return sneck.VerifierFunc(nobody)
	}
	b.closing(v.Close)
	return v
}

// tls returns how we connect to the authority, or nil for the usual.
func (b *guardBuilder) tls() *tls.Config {
	if (b.CertificateFile == "") != (b.KeyFile == "") {
		b.wrong("resource_server_certificate_file and resource_server_key_file need each other", "resource_server_certificate_file")
		return nil
	}
	if b.CAFile == "" && b.CertificateFile == "" {
		return nil
	}
	config := &tls.Config{RootCAs: b.roots(b.CAFile, "authentication_server_ca_file"), MinVersion: tls.VersionTLS12}
	if b.CertificateFile == "" {
		return config
	}
	pair := b.pair(b.CertificateFile, b.KeyFile, "resource_server_certificate_file")
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.current() }
	return config
}

// roots returns the certificates in a file, or nil for those of the system.
func (b *guardBuilder) roots(path, key string) *x509.CertPool {
	if path == "" || b.offline {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		b.wrong("can not be read: "+err.Error(), key)
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		b.wrong("has no certificate in it (hint: PEM, which begins with -----BEGIN CERTIFICATE-----)", key)
	}
	return pool
}
