package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A Convention is how a proxy that asks for a decision says about which
// request. Only the fields of one are looked at: the proxy may pass on whatever
// a client wrote into those of another.
type Convention string

const (
	// XForwarded is that of Traefik and Caddy: X-Forwarded-Method, -Host and
	// -Uri.
	XForwarded Convention = "x-forwarded"
	// XOriginal is for nginx, which must be told to set X-Original-Method,
	// -Host and -URI.
	XOriginal Convention = "x-original"
	// Path is that of Envoy: the method and host are those of the question,
	// and its path is the original one behind [AuthPath].
	Path Convention = "path"
)

// Conventions are all of them.
var Conventions = []Convention{XForwarded, XOriginal, Path}

// AuthPath is where a proxy asks.
const AuthPath = "/auth"

// errAddress means that a question came to another path than it should.
var errAddress = errors.New("proxy: not the path for questions")

// original returns the request that a question is about. Its header and peer
// are those of the question. An error means that the proxy did not say, or that
// the target can be read in two ways.
func (c Convention) original(r *http.Request) (*http.Request, error) {
	method, host, target := r.Method, r.Host, ""
	if c == Path {
		rest, found := strings.CutPrefix(r.RequestURI, AuthPath)
		if !found || rest == "" || rest[0] != '/' {
			return nil, errAddress
		}
		target = rest
	} else {
		if r.URL.Path != AuthPath {
			return nil, errAddress
		}
		prefix, uri := "X-Forwarded-", "X-Forwarded-Uri"
		if c == XOriginal {
			prefix, uri = "X-Original-", "X-Original-Uri"
		}
		var errs [3]error
		method, errs[0] = only(r.Header, prefix+"Method")
		host, errs[1] = only(r.Header, prefix+"Host")
		target, errs[2] = only(r.Header, uri)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
	}
	u, err := parseTarget(target)
	if err != nil {
		return nil, err
	}
	if !isMethod(method) {
		return nil, &ambiguous{"the method is none"}
	}
	if strings.ContainsAny(host, " \t,/\\@?#") {
		return nil, &ambiguous{"the host is none"}
	}
	o := &http.Request{
		Method: method, Host: host, URL: u, RequestURI: target, Header: r.Header, RemoteAddr: r.RemoteAddr, TLS: r.TLS,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	return o.WithContext(r.Context()), nil
}

// only returns the value of a field that must be there once.
func only(h http.Header, name string) (string, error) {
	values := h[name]
	if len(values) != 1 || values[0] == "" {
		return "", fmt.Errorf("proxy: %d fields %s in the question, and not one (hint: the proxy must set it)", len(values), name)
	}
	return values[0], nil
}

// An ambiguous error means that the client's request is not to be understood.
type ambiguous struct{ what string }

func (e *ambiguous) Error() string { return "proxy: " + e.what }

// parseTarget reads the target of a request as it stands in the request line:
// a path and perhaps a query. What comes behind a "#" some would leave out and
// others not.
func parseTarget(target string) (*url.URL, error) {
	if target[0] != '/' || strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		return nil, &ambiguous{"the target is no path"}
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, &ambiguous{"the target is no path"}
	}
	return u, nil
}

// isMethod reports whether a text is a token (RFC 9110, section 5.6.2) in
// capital letters, as methods are.
func isMethod(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('A' <= c && c <= 'Z' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}
