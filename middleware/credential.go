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

// A scheme is an authentication scheme.
type scheme string

const (
	schemeBearer scheme = "Bearer"
	schemeDPoP   scheme = "DPoP"
)

// credential returns the one token of a request, or "" if there is none or if
// the client made a mistake, which is then the decision's Reason. It also
// fills in the Source and Scheme. More than one token is a mistake even if
// they are equal (RFC 6750, section 2).
//
// A token in the query is no credential by itself unless it is allowed, but
// beside another one it is a mistake all the same. The body is not read for
// that unless it is allowed: it belongs to the handler.
//
// The token is short enough. Whether it is a [sneck.ValidToken] is for the
// Verifier to say, and [Guard.misshapen] for what the client is then told.
func (g *Guard) credential(r *http.Request, d *Decision) string {
	token := g.fromHeader(r, d)
	if d.Reason != "" {
		return ""
	}
	for _, more := range g.sources {
		tokens, mistake := more.find(r)
		if mistake != "" {
			d.mistake(mistake)
			return ""
		}
		for _, another := range tokens {
			switch {
			case token != "":
				mistake = ReasonTwoTokens
			case len(another) > sneck.MaxTokenBytes:
				mistake = ReasonTooLong
			case !sneck.ValidToken(another):
				mistake = ReasonMalformed
			}
			if mistake != "" {
				d.mistake(mistake)
				return ""
			}
			token, d.Source, d.Scheme = another, more.source, string(schemeBearer)
		}
	}
	if token != "" && r.URL.RawQuery != "" && d.Source != SourceQuery && inQuery(r.URL.RawQuery) {
		d.mistake(ReasonTwoTokens)
		return ""
	}
	return token
}

// mistake makes d the refusal of a request that names no one token.
func (d *Decision) mistake(reason Reason) { d.Reason, d.Source, d.Scheme = reason, "", "" }

// fromHeader returns the token of the Authorization header (RFC 6750, section
// 2.1; RFC 9449, section 7.1).
func (g *Guard) fromHeader(r *http.Request, d *Decision) string {
	fields := r.Header["Authorization"]
	if len(fields) != 1 {
		if len(fields) > 1 {
			d.mistake(ReasonTwoTokens)
		}
		return ""
	}
	field := fields[0]
	const usual = string(schemeBearer) + " "
	if len(field) > len(usual)+sneck.MaxTokenBytes {
		d.mistake(ReasonTooLong)
		return ""
	}
	scheme := schemeBearer
	if !strings.HasPrefix(field, usual) {
		name, _, _ := strings.Cut(field, " ")
		switch {
		case strings.EqualFold(name, string(schemeBearer)):
		case g.config.DPoP.Mode.on() && strings.EqualFold(name, string(schemeDPoP)):
			scheme = schemeDPoP
		default:
			d.Reason = otherScheme(field)
			return ""
		}
	}
	token := field[len(scheme):]
	for token != "" && token[0] == ' ' { // 1*SP
		token = token[1:]
	}
	switch {
	case token == "":
		d.mistake(ReasonMalformed)
		return ""
	case len(token) > sneck.MaxTokenBytes:
		d.mistake(ReasonTooLong)
		return ""
	}
	d.Source, d.Scheme = SourceHeader, string(scheme)
	return token
}

// misshapen returns the mistake of a client whose token is more than one
// token, or none: it gets another answer than who has a wrong one.
func misshapen(token string) Reason {
	switch {
	case strings.IndexByte(token, ',') >= 0:
		return ReasonTwoTokens
	case strings.IndexByte(token, ' ') >= 0, strings.IndexByte(token, '\t') >= 0:
		return ReasonMalformed
	}
	return ""
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
