package middleware

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sneckauth/sneck"
)

// bearer returns the token of a request (RFC 6750, section 2.1), or "" if
// there is none, or else the mistake that the client made.
//
// A token in the query or in a form body is not looked for unless it is
// allowed, so on its own it is no credential. A token in the header *and* one
// in the query is a mistake all the same (RFC 6750, section 2). The body is
// not read for that: it belongs to the handler.
//
// The token is free of spaces, tabs and commas, and short enough. Whether it
// is a [sneck.ValidToken] is for the Verifier to say.
func bearer(r *http.Request) (token string, mistake Reason) {
	fields := r.Header["Authorization"]
	switch len(fields) {
	case 0:
		return "", ""
	case 1:
	default:
		return "", ReasonTwoTokens
	}
	field := fields[0]
	if len(field) > len("Bearer ")+sneck.MaxTokenBytes {
		return "", ReasonTooLong
	}
	scheme, token, _ := strings.Cut(field, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", otherScheme(field)
	}
	token = strings.TrimLeft(token, " ") // 1*SP
	switch {
	case token == "":
		return "", ReasonMalformed
	case strings.IndexByte(token, ',') >= 0:
		return "", ReasonTwoTokens
	case strings.IndexByte(token, ' ') >= 0, strings.IndexByte(token, '\t') >= 0:
		return "", ReasonMalformed
	case r.URL != nil && r.URL.RawQuery != "" && inQuery(r.URL.RawQuery):
		return "", ReasonTwoTokens
	}
	return token, ""
}

// otherScheme says what is wrong with credentials that do not begin with
// "Bearer" and a space: nothing, if they are somebody else's. But a bearer
// token must not hide in them and then be taken for no token at all.
func otherScheme(field string) Reason {
	const bearer = "Bearer"
	for part := range strings.SplitSeq(field, ",") {
		part = strings.TrimLeft(part, " \t")
		if len(part) < len(bearer) || !strings.EqualFold(part[:len(bearer)], bearer) {
			continue
		}
		if rest := part[len(bearer):]; rest == "" || rest[0] == ' ' || rest[0] == '\t' {
			return ReasonMalformed
		}
	}
	return ""
}

// inQuery reports whether a query has a parameter named access_token.
func inQuery(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		if strings.IndexByte(name, '%') >= 0 {
			name, _ = url.QueryUnescape(name)
		}
		if name == "access_token" {
			return true
		}
	}
	return false
}
