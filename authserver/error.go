package authserver

import (
	"fmt"
	"net/http"
	"time"
)

// An Error is a refusal as it is sent to the client (RFC 6749, section 5.2).
type Error struct {
	// Code is the "error" member, one of the registered codes.
	Code string
	// Description is the "error_description" member: a constant text for the
	// developer of the client, in ASCII without double quote and backslash,
	// which repeats nothing that the client sent.
	Description string
	// Status is the HTTP status; zero means 400.
	Status int
	// Err is the cause, for the log only.
	Err error

	// challenge is the WWW-Authenticate header, if it is not that of Basic.
	challenge string
	// retryAfter is the Retry-After header of a 429.
	retryAfter time.Duration
	// counted says that the limits for failures have counted it.
	counted bool
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("authserver: %s: %s: %v", e.Code, e.Description, e.Err)
	}
	return fmt.Sprintf("authserver: %s: %s", e.Code, e.Description)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// The error codes of RFC 6749, sections 4.1.2.1 and 5.2, and RFC 8707, section 2.
const (
	codeInvalidRequest       = "invalid_request"
	codeInvalidClient        = "invalid_client"
	codeInvalidGrant         = "invalid_grant"
	codeInvalidScope         = "invalid_scope"
	codeInvalidTarget        = "invalid_target"
	codeUnauthorizedClient   = "unauthorized_client"
	codeUnsupportedGrantType = "unsupported_grant_type"
	codeAccessDenied         = "access_denied"
	codeUnavailable          = "temporarily_unavailable"
)

func invalidRequest(description string) *Error {
	return &Error{Code: codeInvalidRequest, Description: description}
}

func invalidClient(description string, cause error) *Error {
	return &Error{Code: codeInvalidClient, Description: description, Status: http.StatusUnauthorized, Err: cause}
}

// unavailable says that the server could not find out or could not do it. It
// is never a verdict, so clients may try again.
func unavailable(cause error) *Error {
	return &Error{
		Code: codeUnavailable, Description: "the server can not answer at the moment",
		Status: http.StatusServiceUnavailable, Err: cause,
	}
}
