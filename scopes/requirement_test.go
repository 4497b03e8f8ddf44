package scopes_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/scopes"
)

func TestRequirement(t *testing.T) {
	for _, test := range []struct {
		req     scopes.Requirement
		prints  string
		held    string
		met     bool
		closest string
		missing string
	}{
		{scopes.Requirement{}, "nothing meets this", "a", false, "", ""},
		{scopes.All(), "nothing meets this", "a", false, "", ""},
		{scopes.Any(), "nothing meets this", "a", false, "", ""},
		{scopes.AnyToken(), "any valid token", "", true, "", ""},
		{scopes.All("a", "b", "a"), "a and b", "a", false, "a b", "b"},
		{scopes.All("a", "b"), "a and b", "b c a", true, "a b", ""},
		{scopes.All("a"), "a", "aa A a:b", false, "a", "a"},
		{scopes.Any("a", "b", "a"), "a, or b", "b", true, "b", ""},
		{scopes.Any("a", "b"), "a, or b", "c", false, "a", "a"},
		{scopes.All("a", "b").Or(scopes.All("c")), "a and b, or c", "", false, "c", "c"},
		{scopes.All("a", "b").Or(scopes.All("c")), "a and b, or c", "b", false, "a b", "a"},
		{scopes.Any("a", "b").And(scopes.Any("c", "a")), "a and c, or a, or b and c, or b and a", "a", true, "a", ""},
		{scopes.AnyToken().And(scopes.All("a")), "a", "", false, "a", "a"},
		{scopes.AnyToken().Or(scopes.All("a")), "any valid token, or a", "", true, "", ""},
		{scopes.All("a").And(scopes.Requirement{}), "nothing meets this", "a", false, "", ""},
		{scopes.All("a").Or(scopes.Requirement{}), "a", "a", true, "a", ""},
	} {
		t.Run(test.prints+" with "+test.held, func(t *testing.T) {
			held := scopes.MustParse(test.held)
			assert.Equal(t, test.prints, test.req.String())
			assert.Equal(t, test.met, test.req.Met(held))
			assert.Equal(t, test.closest, test.req.Closest(held).String())
			assert.Equal(t, test.missing, test.req.Missing(held).String())
		})
	}
}

func TestRequirementCheck(t *testing.T) {
	good, err := scopes.NewHierarchy(map[string][]string{"a": {"b"}})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		req  scopes.Requirement
		says string
	}{
		"zero":              {scopes.Requirement{}, "met by no token"},
		"not a scope":       {scopes.Any("a", `b"`), "must not have the character"},
		"empty scope":       {scopes.All(""), "must not be empty"},
		"no method":         {scopes.Methods(nil), "met by no token"},
		"blank method":      {scopes.Methods(map[string]scopes.Requirement{" ": scopes.All("a")}), "names no method"},
		"lower case":        {scopes.Methods(map[string]scopes.Requirement{"get": scopes.All("a")}), "upper case"},
		"commas":            {scopes.Methods(map[string]scopes.Requirement{"GET,HEAD": scopes.All("a")}), "separate methods by spaces"},
		"twice":             {scopes.Methods(map[string]scopes.Requirement{"GET": scopes.All("a"), "HEAD GET": scopes.All("b")}), "named twice"},
		"nothing for one":   {scopes.Methods(map[string]scopes.Requirement{"GET": {}}), "for method GET"},
		"bad scope for one": {scopes.Methods(map[string]scopes.Requirement{"PUT": scopes.All("é")}), "for method PUT"},
		"no resource":       {scopes.ReadWrite{}.Resource(), "met by no token"},
		"empty resource":    {scopes.ReadWrite{}.Resource("a", ""), "resource must not be empty"},
		"nested mistake": {scopes.Methods(map[string]scopes.Requirement{
			"GET": scopes.Methods(map[string]scopes.Requirement{"get": scopes.All("a")})}), "upper case"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, test.req.Check(), test.says)
			// What is built from a mistake is one, and nothing meets it.
			for _, r := range []scopes.Requirement{test.req, test.req.And(scopes.All("a")), test.req.Under(good)} {
				assert.Error(t, r.Check())
				assert.False(t, r.For("POST").Met(scopes.MustParse("b")))
			}
		})
	}
	assert.NoError(t, scopes.All("a").And(scopes.Any("b", "c")).Check())
	assert.NoError(t, scopes.AnyToken().Check())
}

// And and Or are the and and the or of logic, for every method and token.
func TestRequirementIsLogic(t *testing.T) {
	methods := []string{"GET", "POST", "BREW"}
	names := []string{"a", "b", "c"}
	h, err := scopes.NewHierarchy(map[string][]string{"c": {"a"}})
	require.NoError(t, err)

	type formula struct {
		req scopes.Requirement
		met func(method string, held scopes.Set) bool
	}
	random := rand.New(rand.NewPCG(1, 2))
	var build func(depth int) formula
	build = func(depth int) formula {
		name := names[random.IntN(len(names))]
		if depth == 0 {
			return formula{scopes.All(name), func(_ string, held scopes.Set) bool { return held.Has(name) }}
		}
		x, y := build(depth-1), build(depth-1)
		switch random.IntN(5) {
		case 0:
			return formula{x.req.And(y.req), func(m string, held scopes.Set) bool { return x.met(m, held) && y.met(m, held) }}
		case 1:
			return formula{x.req.Or(y.req), func(m string, held scopes.Set) bool { return x.met(m, held) || y.met(m, held) }}
		case 2:
			return formula{scopes.Methods(map[string]scopes.Requirement{"GET": x.req, "POST": y.req}),
				func(m string, held scopes.Set) bool {
					return m == "GET" && x.met(m, held) || m == "POST" && y.met(m, held)
				}}
		case 3:
			rw := scopes.ReadWrite{Read: name, Write: "b"}.Required()
			return formula{rw.Or(x.req), func(m string, held scopes.Set) bool {
				return x.met(m, held) || m == "GET" && held.Has(name) || m != "GET" && held.Has("b")
			}}
		default:
			return formula{scopes.AnyToken().And(x.req), x.met}
		}
	}
	sets := []scopes.Set{nil, {"a"}, {"b"}, {"c"}, {"a", "b"}, {"a", "c"}, {"b", "c"}, {"a", "b", "c"}}
	for range 300 {
		f := build(3)
		for _, method := range methods {
			for _, held := range sets {
				r := f.req.For(method)
				require.Equal(t, f.met(method, held), r.Met(held), "%v: %s with %v", f.req, method, held)
				require.Equal(t, r.Met(held), len(r.Missing(held)) == 0 && r.Check() == nil, "%v with %v", r, held)

				includes := held
				if held.Has("c") && !held.Has("a") {
					includes = append(scopes.Set{"a"}, held...)
				}
				require.Equal(t, f.met(method, includes), r.Under(h).Met(held), "%v under: %s with %v", f.req, method, held)
				require.Equal(t, r.Under(h).String(), f.req.Under(h).For(method).String())
			}
		}
	}
}

func TestCombiningLeavesTheOperandsAlone(t *testing.T) {
	a, b := scopes.Any("a", "b"), scopes.All("c")
	_ = a.Or(b)
	_ = a.Or(scopes.All("d"))
	_ = a.And(b)
	assert.Equal(t, "a, or b", a.String())
	assert.Equal(t, "c", b.String())
	assert.Equal(t, []scopes.Set{{"a"}, {"b"}}, a.Alternatives())
}
