package authserver

import (
	"net/http"
)

// What is read of a request is bounded, in bytes.
const (
	// maxBody is the longest body.
	maxBody = 64 << 10
	// maxQuery is the longest query of a URL.
	maxQuery = 16 << 10
	// maxHeaders is how long all headers may be together. A server should
	// have http.Server.MaxHeaderBytes besides, so that no more is read.
	maxHeaders = 32 << 10
	// maxParams is the largest number of parameters, and of values of the one
	// that may be repeated.
	maxParams = 100
	// maxName is the longest name of a parameter.
	maxName = 128
)

// maxValue returns how long the value of a parameter may be.
func maxValue(name string) int {
	switch name {
	case "client_assertion", "assertion", "subject_token", "actor_token", "request":
		return 16 << 10 // JWTs, maybe with certificates
	case "token", "refresh_token":
		return 8 << 10
	case "redirect_uri", "resource", "request_uri":
		return 2 << 10
	case "client_id":
		return maxID
	case "client_secret":
		return maxSecret
	}
	return 4 << 10
}

// checkSize refuses parameters that are too long.
func (f Form) checkSize() error {
	for name, list := range f {
		if len(name) > maxName {
			return invalidRequest("the name of a parameter is too long")
		}
		longest := maxValue(name)
		for _, value := range list {
			if len(value) > longest {
				return invalidRequest("a parameter is too long")
			}
		}
	}
	return nil
}

// checkHeaders refuses headers that are too long together.
func checkHeaders(h http.Header) error {
	size := 0
	for name, list := range h {
		for _, value := range list {
			size += len(name) + len(value)
		}
	}
	if size > maxHeaders {
		return &Error{
			Code: codeInvalidRequest, Description: "the headers are too large", Status: http.StatusRequestHeaderFieldsTooLarge,
		}
	}
	return nil
}

// readQuery returns the parameters of a URL.
func readQuery(r *http.Request) (Form, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, &Error{Code: codeInvalidRequest, Description: "the query is too long", Status: http.StatusRequestURITooLong}
	}
	return parseForm(r.URL.RawQuery)
}
