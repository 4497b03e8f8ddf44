package jwt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck/internal/strictjson"
	"github.com/sneckauth/sneck/scopes"
)

// The fuzz tests below hold every verdict against that of go-jose. What is
// taken here must be taken there: no exceptions. What is refused here and
// taken there must be one of the following, each on purpose.
var argued = []struct {
	why string
	is  func(header, payload []byte) bool
}{
	{"bytes that are not UTF-8 are read differently by different readers (RFC 8725, section 3.7)", func(h, p []byte) bool {
		return !utf8.Valid(h) || !utf8.Valid(p) || escapesSurrogate(h) || escapesSurrogate(p)
	}},
	{"bounds of size, nesting and members", func(h, p []byte) bool {
		return len(h) > 4096 || len(h)+len(p) > 6000 || depth(h) > 16 || depth(p) > 16 || len(members(p)) > 256 || len(members(h)) > 256
	}},
	{"a JOSE header begins with its brace; nobody writes white space there", func(h, _ []byte) bool {
		return len(h) > 0 && h[0] != '{'
	}},
	{"headers that are not understood, or bring a key, are refused even where a library could ignore them", func(h, _ []byte) bool {
		return anyOf(members(h), "crit", "b64", "enc", "zip", "jwk", "jku", "x5u", "x5c")
	}},
	{"names in another case", func(h, p []byte) bool {
		return folds(members(h), "alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip", "epk", "nonce") ||
			folds(members(p), "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "auth_time", "acr", "username",
				"preferred_username", "azp", "cid", "scp", "typ", "token_use", "nonce", "events")
	}},
	{"null is not a string, a number or a list", func(h, p []byte) bool {
		return hasNull(members(h), "kid", "typ", "cty", "alg") ||
			hasNull(members(p), "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "auth_time", "acr", "username", "preferred_username")
	}},
	{"wrong types in claims and headers that the oracle was not asked to read", func(h, p []byte) bool {
		return !allStrings(members(h), "typ", "cty", "kid") || !allStrings(members(p), "acr", "username", "preferred_username") ||
			!isNumber(members(p)["auth_time"]) || !isObject(members(p)["cnf"])
	}},
	{"duplicate names inside members that the oracle skips", func(h, p []byte) bool {
		return duplicate(h) || duplicate(p)
	}},
	{"dates before 1970 or after 9999", func(_, p []byte) bool {
		for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
			var f float64
			if err := json.Unmarshal(members(p)[name], &f); members(p)[name] != nil && (err != nil || f < 0 || f > 253402300799) {
				return true
			}
		}
		return false
	}},
	{"an audience with an empty name", func(_, p []byte) bool {
		var list []string
		if json.Unmarshal(members(p)["aud"], &list) != nil {
			return string(members(p)["aud"]) == `""`
		}
		for _, aud := range list {
			if aud == "" {
				return true
			}
		}
		return len(list) == 0
	}},
	{"scopes with characters that a scope may not have (RFC 6749, section 3.3)", func(_, p []byte) bool {
		var s string
		if json.Unmarshal(members(p)["scope"], &s) != nil {
			return false
		}
		_, err := scopes.Parse(s)
		return err != nil
	}},
	{"a key ID of more than 512 bytes", func(h, _ []byte) bool { return len(members(h)["kid"]) > 512 }},
}

func members(object []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	json.Unmarshal(object, &m)
	return m
}

func anyOf(m map[string]json.RawMessage, names ...string) bool {
	for _, name := range names {
		if _, ok := m[name]; ok {
			return true
		}
	}
	return false
}

func folds(m map[string]json.RawMessage, names ...string) bool {
	for have := range maps.Keys(m) {
		for _, name := range names {
			if have != name && strings.EqualFold(have, name) {
				return true
			}
		}
	}
	return false
}

func hasNull(m map[string]json.RawMessage, names ...string) bool {
	for _, name := range names {
		if string(m[name]) == "null" {
			return true
		}
	}
	return false
}

func allStrings(m map[string]json.RawMessage, names ...string) bool {
	for _, name := range names {
		if v, ok := m[name]; ok && v[0] != '"' {
			return false
		}
	}
	return true
}

func isNumber(v json.RawMessage) bool {
	var f float64
	return v == nil || json.Unmarshal(v, &f) == nil
}

func isObject(v json.RawMessage) bool {
	if v == nil {
		return true
	}
	m := members(v)
	return m != nil && allStrings(m, "jkt", "x5t#S256")
}

func duplicate(object []byte) bool {
	var m map[string]any
	return errors.Is(strictjson.Unmarshal(object, &m), jsontext.ErrDuplicateName)
}

func escapesSurrogate(data []byte) bool {
	return bytes.Contains(bytes.ToLower(data), []byte(`\ud`))
}

func depth(data []byte) int {
	d := json.NewDecoder(bytes.NewReader(data))
	deep, deepest := 0, 0
	for {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			deep++
			deepest = max(deepest, deep)
		case json.Delim('}'), json.Delim(']'):
			deep--
		}
	}
}
