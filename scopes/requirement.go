package scopes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Requirement is what a route demands of a token: one of several
// alternatives, each of them a list of scopes that must all be held. It may
// differ by request method; see [ReadWrite] and [Methods].
//
// The zero Requirement is met by no token. Requirements are immutable and
// safe for concurrent use.
type Requirement struct {
	alternatives []alternative
	// byMethod has the methods for which something else holds; nil if the
	// method does not matter. Its values do not depend on the method.
	byMethod map[string]Requirement
	// mistake is what Check returns; a requirement with one is never met.
	mistake error
}

// An alternative is met by who holds a scope for each of its terms.
type alternative struct {
	names Set // of the terms, each once
	terms []term
}

// A term is one scope, or one of those that include it.
type term struct {
	name  string
	above []string // see Hierarchy
}

func (t *term) met(held Set) bool {
	return held.Has(t.name) || t.above != nil && slices.ContainsFunc(t.above, held.Has)
}

func (t term) equal(other term) bool {
	return t.name == other.name && slices.Equal(t.above, other.above)
}

func (a *alternative) met(held Set) bool {
	for i := range a.terms {
		if !a.terms[i].met(held) {
			return false
		}
	}
	return true
}

func (a alternative) equal(other alternative) bool {
	return slices.EqualFunc(a.terms, other.terms, term.equal)
}

// newAlternative returns the alternative of the distinct terms.
func newAlternative(terms []term) alternative {
	var a alternative
	for _, t := range terms {
		if !slices.ContainsFunc(a.terms, t.equal) {
			a.terms = append(a.terms, t)
		}
		if !a.names.Has(t.name) {
			a.names = append(a.names, t.name)
		}
	}
	return a
}

// All is met by a token that holds every one of the named scopes. All without
// a name is met by no token; see [AnyToken].
func All(names ...string) Requirement {
	if len(names) == 0 {
		return Requirement{}
	}
	terms := make([]term, len(names))
	for i, name := range names {
		terms[i].name = name
	}
	return Requirement{alternatives: []alternative{newAlternative(terms)}}
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
func AnyToken() Requirement { return Requirement{alternatives: []alternative{{}}} }

// Or is met if r or the other is met. Alternatives are tried in the order
// they were added.
func (r Requirement) Or(other Requirement) Requirement {
	return r.combine(other, func(a, b []alternative) []alternative {
		out := slices.Clone(a)
		for _, add := range b {
			if !slices.ContainsFunc(out, add.equal) {
				out = append(out, add)
			}
		}
		return out
	})
}

// And is met if both r and the other are met.
func (r Requirement) And(other Requirement) Requirement {
	return r.combine(other, func(a, b []alternative) []alternative {
		var out []alternative
		for _, x := range a {
			for _, y := range b {
				both := newAlternative(slices.Concat(x.terms, y.terms))
				if !slices.ContainsFunc(out, both.equal) {
					out = append(out, both)
				}
			}
		}
		return out
	})
}

// combine applies op to what r and the other demand, for each method that
// one of them names and for all the others.
func (r Requirement) combine(other Requirement, op func(a, b []alternative) []alternative) Requirement {
	if err := errors.Join(r.mistake, other.mistake); err != nil {
		return Requirement{mistake: err}
	}
	out := Requirement{alternatives: op(r.alternatives, other.alternatives)}
	if r.byMethod == nil && other.byMethod == nil {
		return out
	}
	out.byMethod = make(map[string]Requirement)
	for _, methods := range []map[string]Requirement{r.byMethod, other.byMethod} {
		for method := range methods {
			out.byMethod[method] = Requirement{
				alternatives: op(r.For(method).alternatives, other.For(method).alternatives),
			}
		}
	}
	return out
}

// For returns what is demanded of a request with the given method, which is
// compared byte by byte (RFC 9110, section 9.1). The result does not depend
// on the method any more. For does not allocate.
func (r Requirement) For(method string) Requirement {
	if r.byMethod == nil {
		return r
	}
	if special, ok := r.byMethod[method]; ok {
		return special
	}
	return Requirement{alternatives: r.alternatives}
}

// Met reports whether a token with these scopes meets the requirement. One
// that depends on the method is not met before [Requirement.For] has chosen.
func (r Requirement) Met(held Set) bool {
	if r.byMethod != nil {
		return false
	}
	for i := range r.alternatives {
		if r.alternatives[i].met(held) {
			return true
		}
	}
	return false
}

// Closest returns the alternative that needs the fewest scopes besides those
// held, the first of several. It is what a challenge should ask for (RFC
// 6750, section 3.1). It is nil if there is no alternative.
func (r Requirement) Closest(held Set) Set { return slices.Clip(r.closest(held).names) }

// Missing returns the names of the closest alternative that are not held,
// neither by themselves nor by a scope that includes them.
func (r Requirement) Missing(held Set) Set {
	var missing Set
	for _, t := range r.closest(held).terms {
		if !t.met(held) && !missing.Has(t.name) {
			missing = append(missing, t.name)
		}
	}
	return missing
}

func (r Requirement) closest(held Set) alternative {
	var best alternative
	fewest := -1
	for _, alternative := range r.alternatives {
		missing := 0
		for _, t := range alternative.terms {
			if !t.met(held) {
				missing++
			}
		}
		if fewest < 0 || missing < fewest {
			best, fewest = alternative, missing
		}
	}
	return best
}

// Alternatives returns the alternatives, in order. For a requirement that
// depends on the method they are those of the methods it does not name.
func (r Requirement) Alternatives() []Set {
	out := make([]Set, len(r.alternatives))
	for i, alternative := range r.alternatives {
		out[i] = slices.Clone(alternative.names)
	}
	return out
}

// Check returns an error if the requirement can not be met by any token or
// names what is not a scope.
func (r Requirement) Check() error {
	if r.mistake != nil {
		return r.mistake
	}
	if len(r.alternatives) == 0 && len(r.byMethod) == 0 {
		return errors.New("scopes: the requirement is met by no token (hint: name a scope, or say scopes.AnyToken)")
	}
	for _, alternative := range r.alternatives {
		if _, err := Of(alternative.names...); err != nil {
			return err
		}
	}
	for _, method := range slices.Sorted(maps.Keys(r.byMethod)) {
		if err := r.byMethod[method].Check(); err != nil {
			return fmt.Errorf("scopes: for method %s: %w", method, err)
		}
	}
	return nil
}

// String prints the requirement for people, such as "a and b, or c", and if
// it depends on the method "GET HEAD: a; others: b".
func (r Requirement) String() string {
	if r.mistake != nil {
		return "nothing meets this, for a mistake"
	}
	if r.byMethod == nil {
		return r.demand()
	}
	var parts []string
	methods := slices.Sorted(maps.Keys(r.byMethod))
	for len(methods) > 0 {
		demand := r.byMethod[methods[0]].demand()
		same := func(method string) bool { return r.byMethod[method].demand() == demand }
		alike := slices.DeleteFunc(slices.Clone(methods), func(method string) bool { return !same(method) })
		methods = slices.DeleteFunc(methods, same)
		parts = append(parts, strings.Join(alike, " ")+": "+demand)
	}
	return strings.Join(append(parts, "others: "+r.demand()), "; ")
}

// demand prints what is demanded of methods that are not named.
func (r Requirement) demand() string {
	if len(r.alternatives) == 0 {
		return "nothing meets this"
	}
	parts := make([]string, len(r.alternatives))
	for i, alternative := range r.alternatives {
		terms := make([]string, len(alternative.terms))
		for j, t := range alternative.terms {
			terms[j] = t.name
			if len(t.above) > 0 {
				terms[j] += " (or " + strings.Join(t.above, " or ") + ")"
			}
		}
		parts[i] = strings.Join(terms, " and ")
		if len(terms) == 0 {
			parts[i] = "any valid token"
		}
	}
	return strings.Join(parts, ", or ")
}
