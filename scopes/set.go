package scopes

import (
	"fmt"
	"slices"
	"strings"
)

// MaxScopes is the largest number of scopes that [Parse] and [Of] take.
const MaxScopes = 1000

// A Set is a list of distinct scope names in the order they were first given.
// It is compared byte by byte and never by prefix. The nil Set is empty.
//
// Make one with [Parse] or [Of], which check the names. A Set is read-only
// and safe for concurrent use.
type Set []string

// Parse reads a space-separated list of scopes (RFC 6749, section 3.3).
// Repeated names and spaces count once; any other character that a scope may
// not have is an error.
func Parse(s string) (Set, error) {
	if s == "" {
		return nil, nil
	}
	return Of(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })...)
}

// Of returns the Set of the given names.
func Of(names ...string) (Set, error) {
	if len(names) > MaxScopes {
		return nil, fmt.Errorf("scopes: %d scopes are more than %d", len(names), MaxScopes)
	}
	set := make(Set, 0, len(names))
	seen := make(map[string]struct{}, len(names))
	for _, name := range names {
		if err := Check(name); err != nil {
			return nil, err
		}
		if _, again := seen[name]; !again {
			seen[name] = struct{}{}
			set = append(set, name)
		}
	}
	return set, nil
}

// MustParse is [Parse] for scopes that are written in a program. It panics on
// an error.
func MustParse(s string) Set {
	set, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return set
}

// Check returns an error unless name is a scope-token: one or more visible
// ASCII characters except the double quote and the backslash (RFC 6749,
// section 3.3).
func Check(name string) error {
	if name == "" {
		return fmt.Errorf("scopes: a scope must not be empty")
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return fmt.Errorf("scopes: a scope must not have the character %q (hint: letters, digits and ':', '.', '-', '_', '/' are safe)", c)
		}
	}
	return nil
}

// Has reports whether the set holds the name.
func (s Set) Has(name string) bool { return slices.Contains(s, name) }

// HasAll reports whether the set holds every name of the other. Every set
// holds all of an empty one.
func (s Set) HasAll(names Set) bool {
	for _, name := range names {
		if !s.Has(name) {
			return false
		}
	}
	return true
}

// Without returns the names of s, in order, that are not in other.
func (s Set) Without(other Set) Set {
	var rest Set
	for _, name := range s {
		if !other.Has(name) {
			rest = append(rest, name)
		}
	}
	return rest
}

// String returns the names separated by single spaces.
func (s Set) String() string { return strings.Join(s, " ") }
