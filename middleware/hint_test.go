package middleware

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each reason to refuse has a hint of its own, and the reasons to admit none.
func TestEveryRefusalHasAHint(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "decision.go", nil, 0)
	require.NoError(t, err)
	reasons := map[string]Reason{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Reason" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			reasons[spec.Names[0].Name] = Reason(value)
		}
		return true
	})
	require.GreaterOrEqual(t, len(reasons), 27)

	admits := map[Reason]bool{ReasonAdmitted: true, ReasonAnonymous: true, ReasonOtherwise: true, ReasonPreflight: true, ReasonPublic: true}
	given := map[string]Reason{}
	for name, reason := range reasons {
		d := Decision{Reason: reason, Allowed: admits[reason]}
		hint := d.Hint()
		if d.Allowed {
			assert.Empty(t, hint, name)
			continue
		}
		assert.NotEmpty(t, hint, name)
		assert.Empty(t, given[hint], "%s has the same hint", name)
		given[hint] = reason
	}
}
