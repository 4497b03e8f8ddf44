package middleware

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxFormBytes is how much of a form is looked at for a token.
const maxFormBytes = 64 << 10

// A source finds tokens elsewhere than in the Authorization header: all that
// there are, well-formed or not.
type source struct {
	source Source
	find   func(*http.Request) (tokens []string, mistake Reason)
}

func newSources(c *Config) []source {
	var sources []source
	if c.AllowQuery {
		sources = append(sources, source{SourceQuery, fromQuery})
	}
	if c.AllowFormBody {
		sources = append(sources, source{SourceForm, fromForm})
	}
	if name := c.AllowCookie; name != "" {
		sources = append(sources, source{SourceCookie, func(r *http.Request) ([]string, Reason) {
			return fromCookie(r, name), ""
		}})
	}
	return sources
}

// fromQuery finds tokens in the query of a GET request (RFC 6750, section 2.3).
func fromQuery(r *http.Request) ([]string, Reason) {
	if r.Method != http.MethodGet || r.URL.RawQuery == "" {
		return nil, ""
	}
	return parameters(r.URL.RawQuery)
}

// fromForm finds tokens in a form (RFC 6750, section 2.2): one that is not
// encoded otherwise, all ASCII, in a body that the method gives a meaning. A
// form that is too long has none. The body can be read again afterwards.
func fromForm(r *http.Request) ([]string, Reason) {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return nil, ""
	}
	types := r.Header["Content-Type"]
	if r.Body == nil || len(types) != 1 || r.Header["Content-Encoding"] != nil {
		return nil, ""
	}
	if mediaType, _, err := mime.ParseMediaType(types[0]); err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, ""
	}
	form, err := io.ReadAll(io.LimitReader(r.Body, maxFormBytes+1))
	if err != nil {
		return nil, ReasonMalformed
	}
	if len(form) > maxFormBytes {
		r.Body = &replay{io.MultiReader(bytes.NewReader(form), r.Body), r.Body}
		return nil, ""
	}
	r.Body = &replay{bytes.NewReader(form), r.Body}
	tokens, mistake := parameters(string(form))
	if len(tokens) > 0 && slices.ContainsFunc(form, func(b byte) bool { return b >= 0x80 }) {
		return nil, ReasonMalformed
	}
	return tokens, mistake
}

// A replay is a body of which a part was read already.
type replay struct {
	io.Reader
	io.Closer
}

// fromCookie finds tokens in cookies. An empty one is what is left after
// signing out.
func fromCookie(r *http.Request, name string) []string {
	var tokens []string
	for _, cookie := range r.CookiesNamed(name) {
		if cookie.Value != "" {
			tokens = append(tokens, cookie.Value)
		}
	}
	return tokens
}

// parameters returns the values of access_token in a query or form.
func parameters(query string) (tokens []string, mistake Reason) {
	for pair := range strings.SplitSeq(query, "&") {
		if !isAccessToken(pair) {
			continue
		}
		_, value, _ := strings.Cut(pair, "=")
		token, err := url.QueryUnescape(value)
		if err != nil {
			return nil, ReasonMalformed
		}
		tokens = append(tokens, token)
	}
	return tokens, ""
}

// stripQuery removes access_token from the URL of r, which must be a copy, so
// that handlers do not log it or send it on.
func stripQuery(r *http.Request) {
	clean := *r.URL
	pairs := slices.DeleteFunc(strings.Split(clean.RawQuery, "&"), isAccessToken)
	clean.RawQuery = strings.Join(pairs, "&")
	r.URL = &clean
	r.RequestURI = clean.RequestURI()
}
