package strictjson_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/strictjson"
)

type answer struct {
	Active *bool  `json:"active"`
	Scope  string `json:"scope"`
}

func TestUnmarshal(t *testing.T) {
	yes := true
	for _, test := range []struct {
		name, in string
		want     *answer // nil: refused
	}{
		{"plain", `{"active":true,"scope":"a b"}`, &answer{&yes, "a b"}},
		{"unknown members are skipped", `{"active":true,"x":{"y":[1,2,{}]}}`, &answer{&yes, ""}},
		{"white space around", " {\"active\":true}\r\n", &answer{&yes, ""}},
		{"other case is another member", `{"ACTIVE":true,"Scope":"x"}`, &answer{}},
		{"folded letter is another member", `{"ſcope":"admin"}`, &answer{}},
		{"duplicate", `{"active":false,"active":true}`, nil},
		{"duplicate of an unknown member", `{"sub":"a","sub":"b"}`, nil},
		{"duplicate inside", `{"x":{"a":1,"a":2}}`, nil},
		{"duplicate by escape", `{"active":false,"\u0061ctive":true}`, nil},
		{"trailing value", `{"active":true}{}`, nil},
		{"trailing letter", `{"active":true}x`, nil},
		{"truncated", `{"active":true`, nil},
		{"empty", ``, nil},
		{"byte order mark", "\ufeff{}", nil},
		{"invalid UTF-8", "{\"scope\":\"\xff\"}", nil},
		{"string for a boolean", `{"active":"true"}`, nil},
		{"number for a boolean", `{"active":1}`, nil},
		{"at the depth bound", `{"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, &answer{}},
		{"over the depth bound", `{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, nil},
		{"brackets in a string are no depth", `{"scope":"` + strings.Repeat("[", 99) + `\"[["}`, &answer{nil, strings.Repeat("[", 99) + `"[[`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got answer
			err := strictjson.Unmarshal([]byte(test.in), &got)
			if test.want == nil {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, *test.want, got)
		})
	}
}

func TestErrorsQuoteNoValue(t *testing.T) {
	var got answer
	err := strictjson.Unmarshal([]byte(`{"active":"s3cr3t-value"}`), &got)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "s3cr3t")
	err = strictjson.Unmarshal([]byte(`{"active":12345678}`), &got)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "12345678")
}

// What is accepted here, encoding/json must accept too: strict is a subset.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"active":true}`))
	f.Add([]byte(`{"a":[{"b":null}],"active":false}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got answer
		if strictjson.Unmarshal(data, &got) == nil {
			assert.True(t, json.Valid(data))
		}
	})
}
