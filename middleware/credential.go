package middleware

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sneckauth/sneck"
)

// A Source is where in a request its token was.
type Source string

// The sources of tokens. All but the header must be allowed in the [Config].
const (
	SourceHeader Source = "header"
	SourceForm   Source = "form"
	SourceQuery  Source = "query"
	SourceCookie Source = "cookie"
)

// A credential is a token as a request presents it. The zero credential is
// none.
type credential struct {
	token  string
	source Source
}

// credential returns the one token of a request, or the zero credential if
// there is none, or else the mistake that the client made. More than one is a
// mistake even if they are equal (RFC 6750, section 2).
//
// A token in the query is no credential by itself unless it is allowed, but
// beside another one it is a mistake all the same. The body is not read for
// that unless it is allowed: it belongs to the handler.
//
// The token is free of spaces, tabs and commas, and short enough. Whether it
// is a [sneck.ValidToken] is for the Verifier to say.
func (g *Guard) credential(r *http.Request) (credential, Reason) {
	c, mistake := fromHeader(r)
	if mistake != "" {
		return credential{}, mistake
	}
	for _, more := range g.sources {
		tokens, mistake := more.find(r)
		if mistake != "" {
			return credential{}, mistake
		}
		for _, token := range tokens {
			switch {
			case c.token != "":
				return credential{}, ReasonTwoTokens
			case len(token) > sneck.MaxTokenBytes:
				return credential{}, ReasonTooLong
			case !sneck.ValidToken(token):
				return credential{}, ReasonMalformed
			}
			c = credential{token, more.source}
		}
	}
	if c.token != "" && c.source != SourceQuery && r.URL.RawQuery != "" && inQuery(r.URL.RawQuery) {
		return credential{}, ReasonTwoTokens
	}
	return c, ""
}

// fromHeader returns the token of the Authorization header (RFC 6750, section
// 2.1).
func fromHeader(r *http.Request) (credential, Reason) {
	fields := r.Header["Authorization"]
	switch len(fields) {
	case 0:
		return credential{}, ""
	case 1:
	default:
		return credential{}, ReasonTwoTokens
	}
	field := fields[0]
	if len(field) > len("Bearer ")+sneck.MaxTokenBytes {
		return credential{}, ReasonTooLong
	}
	scheme, token, _ := strings.Cut(field, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return credential{}, otherScheme(field)
	}
	token = strings.TrimLeft(token, " ") // 1*SP
	switch {
	case token == "":
		return credential{}, ReasonMalformed
	case strings.IndexByte(token, ',') >= 0:
		return credential{}, ReasonTwoTokens
	case strings.IndexByte(token, ' ') >= 0, strings.IndexByte(token, '\t') >= 0:
		return credential{}, ReasonMalformed
	}
	return credential{token, SourceHeader}, ""
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
	for pair := range strings.SplitSeq(query, "&") {
		if isAccessToken(pair) {
			return true
		}
	}
	return false
}

// isAccessToken reports whether a pair of a query or form is access_token and
// its value.
func isAccessToken(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	if strings.IndexByte(name, '%') >= 0 {
		name, _ = url.QueryUnescape(name)
	}
	return name == "access_token"
}
