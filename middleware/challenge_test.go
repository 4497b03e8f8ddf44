package middleware_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A challenge is one challenge of a WWW-Authenticate field.
type challenge struct {
	scheme string
	params map[string]string
}

// parseChallenges reads a WWW-Authenticate field as a strict client would
// (RFC 9110, section 11.6.1). It shares nothing with the code under test.
func parseChallenges(field string) ([]challenge, error) {
	var all []challenge
	rest := field
	for rest != "" {
		word, after := span(rest, isTchar)
		if word == "" {
			return nil, fmt.Errorf("no token at %q", rest)
		}
		if !strings.HasPrefix(after, "=") { // a scheme begins a challenge
			all = append(all, challenge{word, map[string]string{}})
			rest = strings.TrimLeft(after, " ")
			continue
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("parameter before any scheme")
		}
		value, after, err := quoted(after[1:])
		if err != nil {
			return nil, err
		}
		params := all[len(all)-1].params
		if _, again := params[word]; again {
			return nil, fmt.Errorf("parameter %s twice", word)
		}
		params[word] = value
		if after != "" && !strings.HasPrefix(after, ", ") {
			return nil, fmt.Errorf("no comma at %q", after)
		}
		rest = strings.TrimPrefix(after, ", ")
		if after != "" && rest == "" {
			return nil, fmt.Errorf("nothing after a comma")
		}
	}
	for _, c := range all {
		if len(c.params) == 0 { // RFC 6750, section 3
			return nil, fmt.Errorf("challenge %s without parameters", c.scheme)
		}
	}
	return all, nil
}

func quoted(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", fmt.Errorf("no quoted-string at %q", s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], nil
		case c == '\\':
			if i++; i == len(s) {
				return "", "", fmt.Errorf("ends in a backslash")
			}
			b.WriteByte(s[i])
		case c < ' ' || c >= 0x7f:
			return "", "", fmt.Errorf("character %q in a quoted-string", c)
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("quoted-string does not end")
}

func span(s string, in func(byte) bool) (head, tail string) {
	i := 0
	for i < len(s) && in(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isTchar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func TestChallengeParser(t *testing.T) {
	got, err := parseChallenges(`Bearer realm="a \"b\"", scope="x y", DPoP algs="ES256"`)
	require.NoError(t, err)
	assert.Equal(t, []challenge{
		{"Bearer", map[string]string{"realm": `a "b"`, "scope": "x y"}},
		{"DPoP", map[string]string{"algs": "ES256"}},
	}, got)
	for _, bad := range []string{
		`Bearer`, `realm="a"`, `Bearer realm=a`, `Bearer realm="a`, `Bearer realm="a\`,
		`Bearer realm="a" scope="b"`, `Bearer realm="a", realm="b"`, `Bearer realm="a", `, "Bearer realm=\"\n\"",
	} {
		_, err := parseChallenges(bad)
		assert.Error(t, err, bad)
	}
}
