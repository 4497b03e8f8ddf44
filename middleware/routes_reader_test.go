package middleware_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// A reader is how a handler finds what a path means: the most specific pattern,
// for which case may not matter, nor a slash at the end.
type reader struct{ foldsCase, ignoresSlash bool }

// rules returns the patterns that the path can be meant to be under.
func (rd reader) rules(patterns []string, path string) (best []string) {
	segments := rd.split(path)
	most := -1
	for _, pattern := range patterns {
		score := rd.score(pattern, segments)
		if score < most || score < 0 {
			continue
		}
		if score > most {
			most, best = score, nil
		}
		best = append(best, pattern)
	}
	return best
}

func (rd reader) split(path string) []string {
	if rd.foldsCase {
		path = strings.ToLower(path)
	}
	if rd.ignoresSlash && path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	return strings.Split(path[1:], "/")
}

// score says how specific a pattern is for a path; -1 if it does not match.
func (rd reader) score(pattern string, path []string) (score int) {
	path = slices.Clone(path)
	whole, exact := strings.CutSuffix(pattern, "{$}")
	subtree := strings.HasSuffix(whole, "/") && !exact
	segments := rd.split(whole)
	if subtree {
		if last := len(segments) - 1; segments[last] == "" {
			segments = segments[:last]
			if !rd.ignoresSlash && len(path) == last {
				return -1
			}
		}
		if len(path) < len(segments) {
			return -1
		}
		if len(path) == len(segments) {
			score = 5
		}
		path = path[:len(segments)]
	} else {
		score = 5
	}
	if len(path) != len(segments) {
		return -1
	}
	for i, segment := range segments {
		switch {
		case segment == path[i]:
			score += 11
		case strings.HasPrefix(segment, "{") && path[i] != "":
			score += 10
		default:
			return -1
		}
	}
	return score
}

// Whatever a table says, a request is not admitted by another rule than that by
// which some handler of the common kinds reads it.
func TestRoutesForEveryReader(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	choose := func(from ...string) string { return from[random.IntN(len(from))] }
	for range 1000 {
		patterns := []string{"/"}
		for range 1 + random.IntN(4) {
			pattern := ""
			for _, name := range []string{"{x}", "{y}"}[random.IntN(2):] {
				pattern += "/" + choose("a", "B", "É", name, name)
			}
			patterns = append(patterns, pattern+choose("", "", "/", "/{$}"))
		}
		routes := make([]middleware.Route, len(patterns))
		for i, pattern := range patterns {
			routes[i] = middleware.Route{Pattern: pattern, Policy: policy(scopes.AnyToken())}
		}
		rs, err := newGuard(t, nil).Routes(routes)
		if err != nil {
			continue // some contradict each other
		}
		for range 20 {
			path := ""
			for range 1 + random.IntN(3) {
				path += "/" + choose("a", "A", "b", "B", "c", "é", "É")
			}
			r := request(t, "GET", path+choose("", "/"))
			r.Header.Set("Authorization", "Bearer none")
			d := rs.Check(r)
			if !d.Allowed {
				continue
			}
			for _, rd := range []reader{{false, false}, {true, false}, {false, true}, {true, true}} {
				assert.Contains(t, rd.rules(patterns, r.URL.Path), d.Rule, "%s, of %q, for %+v", r.URL.Path, patterns, rd)
			}
		}
		if t.Failed() {
			return
		}
	}
}
