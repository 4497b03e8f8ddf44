package introspect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/sneckauth/sneck"
)

// ErrCredentials means that the authority refused the credentials of this
// client, so that no token can be verified until they are put right. It comes
// inside of a [*sneck.UnavailableError], as it says nothing about the token.
var ErrCredentials = errors.New("introspect: the authority refused our credentials (hint: check the client id, the secret and that the client may introspect)")

// The definite refusals.
var (
	errMalformed  = invalid("the token has characters or a length that no token has")
	errInactive   = invalid("the authority says that the token is not active")
	errRefused    = invalid("the authority refused the token as one that it can not introspect")
	errExpired    = invalid("the token is expired")
	errNotYet     = invalid("the token is not valid yet")
	errWrongUse   = invalid("the token is no access token")
	errOtherIssue = invalid("the token is of another issuer than the configured one")
)

func invalid(reason string) error { return fmt.Errorf("introspect: %s: %w", reason, sneck.ErrInvalid) }

// unavailable is the third kind of "no".
func unavailable(after time.Duration, err error) error {
	return &sneck.UnavailableError{Err: err, RetryAfter: after}
}

// An exchangeError describes a failed exchange in words of our own. What net/http
// says may quote the peer, and a peer may quote the token.
type exchangeError struct {
	what  string
	cause error // only what is known to quote nothing; may be nil
}

func (e *exchangeError) Error() string {
	if e.cause == nil {
		return "introspect: " + e.what
	}
	return "introspect: " + e.what + ": " + e.cause.Error()
}

func (e *exchangeError) Unwrap() error { return e.cause }

// A signError is the error of a Credential, whose words are its own.
type signError struct{ error }

func (e *signError) Unwrap() error { return e.error }

// describe turns an error of net/http into one that quotes nobody.
func describe(err error) error {
	var (
		errno       syscall.Errno
		alert       tls.AlertError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		dns         *net.DNSError
		timeout     net.Error
		own         *exchangeError
		unsigned    *signError
	)
	switch {
	case errors.As(err, &unsigned):
		return unsigned
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.Canceled):
		return &exchangeError{"the question was withdrawn", context.Canceled}
	case errors.Is(err, context.DeadlineExceeded):
		return &exchangeError{"no answer in time", context.DeadlineExceeded}
	case errors.As(err, &certificate):
		return &exchangeError{"the certificate of the authority is not trusted" + certificateHint(certificate.Err), nil}
	case errors.As(err, &alert):
		return &exchangeError{"the authority ended the TLS handshake", alert}
	case errors.As(err, &record):
		return &exchangeError{"the authority does not speak TLS at this address", nil}
	case errors.As(err, &dns):
		return &exchangeError{"the host name of the authority could not be resolved", nil}
	case errors.As(err, &errno):
		return &exchangeError{"the connection failed", errno}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &exchangeError{"no answer in time", context.DeadlineExceeded}
	}
	return &exchangeError{"the connection failed or the answer was not HTTP", nil}
}

func certificateHint(err error) string {
	var (
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		bad     x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &host):
		return " (it is for another host name)"
	case errors.As(err, &unknown):
		return " (hint: put the authority's root into Config.TLS.RootCAs)"
	case errors.As(err, &bad) && bad.Reason == x509.Expired:
		return " (it is expired or not yet valid)"
	}
	return ""
}
