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
	scheme scheme
}

// A scheme is an authentication scheme.
type scheme string

const (
	schemeBearer scheme = "Bearer"
	schemeDPoP   scheme = "DPoP"
)

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
	c, mistake := fromHeader(r, g.config.DPoP.Mode.on())
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
			c = credential{token, more.source, schemeBearer}
		}
	}
	if c.token != "" && c.source != SourceQuery && r.URL.RawQuery != "" && inQuery(r.URL.RawQuery) {
		return credential{}, ReasonTwoTokens
	}
	return c, ""
}

// fromHeader returns the token of the Authorization header (RFC 6750, section
// 2.1; RFC 9449, section 7.1).
func fromHeader(r *http.Request, dpop bool) (credential, Reason) {
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
	c := credential{source: SourceHeader, scheme: schemeBearer}
	name, token, _ := strings.Cut(field, " ")
	switch {
	case name == string(schemeBearer), strings.EqualFold(name, string(schemeBearer)):
	case dpop && strings.EqualFold(name, string(schemeDPoP)):
		c.scheme = schemeDPoP
	default:
		return credential{}, otherScheme(field)
	}
	c.token = strings.TrimLeft(token, " ") // 1*SP
	switch {
	case c.token == "":
		return credential{}, ReasonMalformed
	case len(c.token) > sneck.MaxTokenBytes:
		return credential{}, ReasonTooLong
	case strings.IndexByte(c.token, ',') >= 0:
		return credential{}, ReasonTwoTokens
	case strings.IndexByte(c.token, ' ') >= 0, strings.IndexByte(c.token, '\t') >= 0:
		return credential{}, ReasonMalformed
	}
	return c, ""
}

// otherScheme says what is wrong with credentials that begin with no known
// scheme and a space: nothing, if they are somebody else's. But a token must
// not hide in them and then be taken for no token at all.
func otherScheme(field string) Reason {
	for part := range strings.SplitSeq(field, ",") {
		name := strings.TrimLeft(part, " \t")
		if end := strings.IndexAny(name, " \t"); end >= 0 {
			name = name[:end]
		}
		if strings.EqualFold(name, string(schemeBearer)) {
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
