package middleware

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// plainPath reports whether every reader of the request's path reads the same.
func plainPath(r *http.Request) bool {
	p := r.URL.Path
	if p == "" || p[0] != '/' || r.URL.Opaque != "" || r.Method == http.MethodConnect {
		return false
	}
	for i := range len(p) {
		switch c := p[i]; {
		case c < ' ', c == 0x7f, c == '\\', c == ';':
			return false
		case c == '%' && len(p) > i+2 && isHex(p[i+1]) && isHex(p[i+2]): // decoded once more, it would be another path
			return false
		case c >= 0xc0 && overlong(p[i:]):
			return false
		}
	}
	if clean := path.Clean(p); len(clean) != len(p) && (len(clean)+1 != len(p) || p[len(p)-1] != '/' || len(clean) == 1) {
		return false // but for a slash at the end
	}
	raw := r.URL.RawPath // empty unless the path is escaped in an unusual way
	for i := strings.IndexByte(raw, '%'); i >= 0; {
		if reserved(raw[i+1:]) {
			return false
		}
		next := strings.IndexByte(raw[i+1:], '%')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return true
}

// overlong reports whether a text begins with a sequence of bytes by which careless
// readers of UTF-8 mean a character that has a shorter one, such as a slash or a
// dot (RFC 3629, section 10), or with one longer than there are.
func overlong(s string) bool {
	if len(s) < 2 || s[1]&0xc0 != 0x80 {
		return false
	}
	switch c := s[0]; c {
	case 0xc0, 0xc1:
		return true
	case 0xe0:
		return s[1] < 0xa0
	case 0xf0:
		return s[1] < 0x90
	default:
		return c >= 0xf8
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// reserved reports whether an escape, without its "%", stands for a byte that
// makes another path of one: a slash, a backslash, a dot, a semicolon or a
// control character.
func reserved(escape string) bool {
	if len(escape) < 2 {
		return false
	}
	switch strings.ToLower(escape[:2]) {
	case "2f", "5c", "2e", "3b", "7f":
		return true
	}
	return escape[0] == '0' || escape[0] == '1'
}

// plainSpelling reports whether the rule of a path is also that of the path in
// lower case and without a slash at its end, or with one, which many handlers take
// for the same. The slash may matter if the rule is for this very path.
func (t *table) plainSpelling(r *http.Request, found *rule) bool {
	p := r.URL.Path
	usual := t.usual(p)
	if (usual != p || t.mixed) && !t.under(found, r, usual) {
		return false
	}
	slash := len(p) > 1 && p[len(p)-1] == '/'
	switch {
	case slash && strings.Count(pathOf(found.pattern), "/") != strings.Count(p, "/"):
		return t.under(found, r, usual[:len(usual)-1])
	case !found.twins || len(p) == 1:
		return true
	case slash:
		usual = usual[:len(usual)-1]
	default:
		usual += "/"
	}
	other := match(t.folded, &http.Request{Method: r.Method, Host: r.Host, URL: &url.URL{Path: usual}})
	return other == nil || !narrower(other.pattern, found.pattern)
}

// findTwins marks the rules with a wildcard beside which there may be one that
// names what this leaves open, but for the slash at the end: "/{page}" and
// "/admin/". Who takes no notice of the slash goes by the latter.
func findTwins(rules []*rule) {
	type shape struct {
		segments int
		slash    bool
	}
	there := map[shape]bool{}
	for _, r := range rules {
		segments, slash := segmentsOf(r.pattern)
		there[shape{len(segments), slash}] = true
	}
	for _, r := range rules {
		segments, slash := segmentsOf(r.pattern)
		r.twins = slices.ContainsFunc(segments, isWildcard) && there[shape{len(segments), !slash}]
	}
}

// narrower reports whether a pattern names a segment that another one of as many
// segments leaves open.
func narrower(pattern, than string) bool {
	named, _ := segmentsOf(pattern)
	open, _ := segmentsOf(than)
	if len(named) != len(open) {
		return false
	}
	for i := range named {
		if isWildcard(open[i]) && !isWildcard(named[i]) {
			return true
		}
	}
	return false
}

// segmentsOf returns the segments of a pattern's path, and whether it has a slash
// at its end, behind which there may be a wildcard for all that follows.
func segmentsOf(pattern string) (segments []string, slash bool) {
	p := strings.TrimSuffix(pathOf(pattern), "{$}")
	if i := strings.LastIndexByte(p, '/'); isWildcard(p[i+1:]) && strings.HasSuffix(p, "...}") {
		p = p[:i+1]
	}
	path, slash := strings.CutSuffix(p, "/")
	return strings.Split(path, "/")[1:], slash
}

func isWildcard(segment string) bool { return strings.HasPrefix(segment, "{") }

// plainEnd reports whether the rule of a path is also that of what is before an
// escaped "?" or "#": who decodes the path and parses it again, as some proxies
// do, sees no more of it.
func (t *table) plainEnd(r *http.Request, found *rule) bool {
	end := strings.IndexAny(r.URL.Path, "?#")
	return end < 0 || t.under(found, r, t.usual(r.URL.Path[:end]))
}

// under reports whether a path in its usual spelling is under the same rule as
// the request, or under none. Where a mux would redirect to the path with a
// slash at its end, a handler that takes the two for the same answers by itself.
func (t *table) under(found *rule, r *http.Request, usual string) bool {
	to := &http.Request{Method: r.Method, Host: r.Host, URL: &url.URL{Path: usual}}
	other := match(t.folded, to)
	if other == nil && usual != "" {
		to.URL.Path += "/"
		other = match(t.folded, to)
	}
	return other == nil || other.pattern == found.pattern
}

// usual returns the usual spelling of a path or segment.
func (t *table) usual(s string) string {
	if t.folded == t.mux {
		return s
	}
	return foldCase(s)
}

// foldCase returns a text as it is compared without regard to case. In Unicode the
// capitals of two letters can be the same, such as those of "s" and "ſ", and so
// can the small ones of two capitals: some compare by these, some by those, and
// some by both.
func foldCase(s string) string {
	capital := false
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.ToLower(strings.ToUpper(s))
		}
		capital = capital || 'A' <= s[i] && s[i] <= 'Z'
	}
	if !capital {
		return s
	}
	return strings.ToLower(s)
}

// fold fills in what plainSpelling goes by. If routes differ only in case, that
// is on purpose, and their handler has to know the difference.
func (t *table) fold(routes []Route) {
	t.folded = http.NewServeMux()
	for _, route := range routes {
		folded := t.foldPattern(route.Pattern)
		t.mixed = t.mixed || folded != route.Pattern
		if !register(t.folded, folded, &rule{pattern: route.Pattern}) {
			t.folded, t.mixed = t.mux, false
			return
		}
	}
}

// foldPattern returns a pattern with its path in lower case, as it means it and
// not as it escapes it, but for the names of wildcards, of which there could be
// two that differ only in case.
func (t *table) foldPattern(pattern string) string {
	p := pathOf(pattern)
	segments := strings.Split(p, "/")
	for i, s := range segments {
		if text, err := url.PathUnescape(s); err == nil && !isWildcard(s) && t.usual(text) != text {
			segments[i] = url.PathEscape(t.usual(text))
		}
	}
	return strings.TrimSuffix(pattern, p) + strings.Join(segments, "/")
}

// pathOf returns the path of a pattern.
func pathOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return ""
}
