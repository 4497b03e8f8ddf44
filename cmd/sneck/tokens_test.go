package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestProgress(t *testing.T) {
	for _, test := range []struct {
		name string
		p    progress
		done []int64
		want string
	}{
		{"terminal", progress{terminal: true, total: 20}, []int64{5, 20},
			"\r[" + strings.Repeat("#", 10) + strings.Repeat(".", 30) + "] 5 of 20\r[" + strings.Repeat("#", 40) + "] 20 of 20\n"},
		{"terminal, nothing to do", progress{terminal: true}, nil, ""},
		{"more than were counted", progress{terminal: true, total: 1}, []int64{3}, "\r[" + strings.Repeat("#", 40) + "] 3 of 3\n"},
		{"no terminal: a line for each tenth", progress{total: 100}, []int64{5, 10, 11, 45, 100},
			"sneck: deleted 10 of 100\nsneck: deleted 45 of 100\nsneck: deleted 100 of 100\n"},
	} {
		var out bytes.Buffer
		test.p.w = &out
		for _, n := range test.done {
			test.p.show(n)
		}
		test.p.end()
		assert.Equal(t, test.want, out.String(), test.name)
	}
}

// A URL may have a password, which is never shown.
func TestDataName(t *testing.T) {
	for data, want := range map[string]string{
		"./data": "./data",
		"postgres://u:secret@h:1/db?sslkey=secret": "postgres://h:1/db",
		"postgresql://h/db":                        "postgresql://h/db",
		"postgres://u:sec%ret@h/db":                "postgres",
	} {
		assert.Equal(t, want, dataName(data))
	}
}
