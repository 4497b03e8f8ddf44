package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
)

// Prefix begins the name of every header field that tells a service who calls.
// Nobody but the guard may set one.
const Prefix = "X-Sneck-"

// identity are the fields, and what each says of a token. Those that would be
// empty are left out.
var identity = [...]struct {
	name  string
	value func(*sneck.Token) string
}{
	{Prefix + "Issuer", func(t *sneck.Token) string { return escape(t.Issuer) }},
	{Prefix + "Subject", func(t *sneck.Token) string { return escape(t.Subject) }},
	{Prefix + "Client", func(t *sneck.Token) string { return escape(t.ClientID) }},
	{Prefix + "Username", func(t *sneck.Token) string { return escape(t.Username) }},
	{Prefix + "Scope", func(t *sneck.Token) string { return escape(t.Scopes...) }},
	{Prefix + "Audience", func(t *sneck.Token) string { return escape(t.Audience...) }},
	{Prefix + "Token-Id", func(t *sneck.Token) string { return escape(t.ID) }},
	{Prefix + "Expires", func(t *sneck.Token) string { return seconds(t.Expires) }},
	{Prefix + "Auth-Time", func(t *sneck.Token) string { return seconds(t.AuthTime) }},
	{Prefix + "Acr", func(t *sneck.Token) string { return escape(t.ACR) }},
}

// setIdentity says in a header who calls. Without a token it says nothing.
func setIdentity(h http.Header, t *sneck.Token) {
	if t == nil {
		return
	}
	for _, field := range identity {
		if value := field.value(t); value != "" {
			h[field.name] = []string{value}
		}
	}
}

// strip removes every field that a service could take for one whose name
// begins with one of the prefixes.
func strip(h http.Header, prefixes ...string) {
	for name := range h {
		for _, prefix := range prefixes {
			if resembles(name, prefix) {
				delete(h, name)
			}
		}
	}
}

// resembles reports whether a service could take the name of a field for one
// with the prefix. Those that get their fields as variables see no difference
// between "X-Sneck-Subject" and "x_sneck.subject": all but letters and digits
// is one character for some of them.
func resembles(name, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		have, want := name[i], prefix[i]
		if want == '-' {
			if isAlphanumeric(have) {
				return false
			}
		} else if have|0x20 != want|0x20 {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
}

// escape returns words with spaces between them, in each of which all but
// visible ASCII is percent-encoded, and "%" with it: the result fits in a
// field, ends no line, and can be read in one way only.
func escape(words ...string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		for j := range len(word) {
			if c := word[j]; c > ' ' && c < 0x7f && c != '%' {
				b.WriteByte(c)
			} else {
				b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			}
		}
	}
	return b.String()
}

// seconds returns a time as OAuth writes it: seconds since 1970.
func seconds(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}
