package appendjson_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/appendjson"
)

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", "https://api.example.com/?a=b", `"\`, "<script>&", "\x00\n\x7f", "\u2028ü\U0001f600", "\xff\xc0a"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		want, err := json.Marshal(struct {
			First string   `json:"first"`
			A     string   `json:"a,omitempty"`
			List  []string `json:"list,omitempty"`
			None  []string `json:"none,omitempty"`
		}{First: b, A: a, List: []string{a, b}})
		require.NoError(t, err)
		got := appendjson.String([]byte(`{"first":`), b)
		got = appendjson.Member(got, "a", a)
		got = appendjson.Members(got, "list", []string{a, b})
		got = appendjson.Members(got, "none", nil)
		assert.Equal(t, string(want), string(append(got, '}')))
	})
}

func TestStringAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 100)
	assert.Zero(t, testing.AllocsPerRun(10, func() { appendjson.Members(buf, "a", []string{"b", "c"}) }))
}
