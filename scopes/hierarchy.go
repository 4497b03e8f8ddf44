package scopes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Hierarchy says which scopes include which others, so that a route that
// demands "read" also takes a token for "admin". It is declared once, by the
// resource server, and changes what requirements take, never what a token
// holds: what an authority meant by a scope is not for this side to extend.
//
// The zero Hierarchy has no scope that includes another. A Hierarchy is
// immutable and safe for concurrent use.
type Hierarchy struct {
	above map[string][]string // all that include a scope, nearest first
}

// NewHierarchy returns the hierarchy in which each scope includes those that
// the map lists for it, and whatever they include:
//
//	NewHierarchy(map[string][]string{"admin": {"write"}, "write": {"read"}})
//
// It returns an error that names every mistake: what is not a scope, and
// scopes that include themselves.
func NewHierarchy(includes map[string][]string) (Hierarchy, error) {
	var mistakes []error
	parents := make(map[string][]string) // those that list a scope
	for _, name := range slices.Sorted(maps.Keys(includes)) {
		if err := Check(name); err != nil {
			mistakes = append(mistakes, err)
		}
		for _, below := range includes[name] {
			if err := Check(below); err != nil {
				mistakes = append(mistakes, err)
			}
			if !slices.Contains(parents[below], name) {
				parents[below] = append(parents[below], name)
			}
		}
	}
	h := Hierarchy{above: make(map[string][]string, len(parents))}
	for _, name := range slices.Sorted(maps.Keys(parents)) {
		above := slices.Clone(parents[name])
		for i := 0; i < len(above); i++ { // breadth first; above grows
			for _, next := range parents[above[i]] {
				if !slices.Contains(above, next) {
					above = append(above, next)
				}
			}
		}
		if slices.Contains(above, name) {
			mistakes = append(mistakes, fmt.Errorf("scopes: %q includes itself, by way of %s", name, strings.Join(above, " ")))
		}
		h.above[name] = above
	}
	if len(mistakes) > 0 {
		return Hierarchy{}, errors.Join(mistakes...)
	}
	return h, nil
}

// Under returns the requirement that is met where r is, and also by scopes
// that include those of r in the hierarchy. Challenges still name the scopes
// of r: the least that is needed.
func (r Requirement) Under(h Hierarchy) Requirement {
	out := Requirement{mistake: r.mistake}
	for _, a := range r.alternatives {
		terms := slices.Clone(a.terms)
		for i, t := range terms {
			terms[i].above = slices.Clip(slices.Clone(t.above))
			for _, name := range h.above[t.name] {
				if !slices.Contains(terms[i].above, name) {
					terms[i].above = append(terms[i].above, name)
				}
			}
		}
		out.alternatives = append(out.alternatives, newAlternative(terms))
	}
	if r.byMethod != nil {
		out.byMethod = make(map[string]Requirement, len(r.byMethod))
		for method, demand := range r.byMethod {
			out.byMethod[method] = demand.Under(h)
		}
	}
	return out
}
