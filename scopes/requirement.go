package scopes

import (
	"fmt"
	"slices"
	"strings"
)

// A Requirement is what a route demands of a token: one of several
// alternatives, each of them a list of scopes that must all be held.
//
// The zero Requirement is met by no token. Requirements are immutable and
// safe for concurrent use.
type Requirement struct {
	alternatives []Set
}

// All is met by a token that holds every one of the named scopes. All without
// a name is met by no token; see [AnyToken].
func All(names ...string) Requirement {
	if len(names) == 0 {
		return Requirement{}
	}
	return Requirement{[]Set{unique(names)}}
}

// Any is met by a token that holds at least one of the named scopes.
func Any(names ...string) Requirement {
	r := Requirement{}
	for _, name := range names {
		r = r.Or(All(name))
	}
	return r
}

// AnyToken is met by every valid token, whatever its scopes.
func AnyToken() Requirement { return Requirement{[]Set{nil}} }

// Or is met if r or the other is met. Alternatives are tried in the order
// they were added.
func (r Requirement) Or(other Requirement) Requirement {
	out := slices.Clip(slices.Clone(r.alternatives))
	for _, add := range other.alternatives {
		if !slices.ContainsFunc(out, func(have Set) bool { return slices.Equal(have, add) }) {
			out = append(out, add)
		}
	}
	return Requirement{out}
}

// And is met if both r and the other are met.
func (r Requirement) And(other Requirement) Requirement {
	var out Requirement
	for _, a := range r.alternatives {
		for _, b := range other.alternatives {
			out = out.Or(Requirement{[]Set{unique(slices.Concat(a, b))}})
		}
	}
	return out
}

// Met reports whether a token with these scopes meets the requirement.
func (r Requirement) Met(held Set) bool {
	for _, alternative := range r.alternatives {
		if held.HasAll(alternative) {
			return true
		}
	}
	return false
}

// Closest returns the alternative that needs the fewest scopes besides those
// held, the first of several. It is what a challenge should ask for (RFC
// 6750, section 3.1). It is nil if there is no alternative.
func (r Requirement) Closest(held Set) Set {
	var best Set
	fewest := -1
	for _, alternative := range r.alternatives {
		missing := 0
		for _, name := range alternative {
			if !held.Has(name) {
				missing++
			}
		}
		if fewest < 0 || missing < fewest {
			best, fewest = alternative, missing
		}
	}
	return best
}

// Alternatives returns the alternatives, in order.
func (r Requirement) Alternatives() []Set {
	out := make([]Set, len(r.alternatives))
	for i, alternative := range r.alternatives {
		out[i] = slices.Clone(alternative)
	}
	return out
}

// Check returns an error if the requirement can not be met by any token or
// names what is not a scope.
func (r Requirement) Check() error {
	if len(r.alternatives) == 0 {
		return fmt.Errorf("scopes: the requirement is met by no token (hint: name a scope, or say scopes.AnyToken)")
	}
	for _, alternative := range r.alternatives {
		if _, err := Of(alternative...); err != nil {
			return err
		}
	}
	return nil
}

// String prints the requirement for people, such as "a and b, or c".
func (r Requirement) String() string {
	if len(r.alternatives) == 0 {
		return "nothing meets this"
	}
	parts := make([]string, len(r.alternatives))
	for i, alternative := range r.alternatives {
		parts[i] = strings.Join(alternative, " and ")
		if len(alternative) == 0 {
			parts[i] = "any valid token"
		}
	}
	return strings.Join(parts, ", or ")
}

func unique(names []string) Set {
	set := make(Set, 0, len(names))
	for _, name := range names {
		if !set.Has(name) {
			set = append(set, name)
		}
	}
	return set
}
