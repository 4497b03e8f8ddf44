package yaml_test

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/yaml"
)

// common is embedded: its keys are those of the struct around it.
type common struct {
	Name string `yaml:"name,required" doc:"what it is called" example:"songs"`
}

// A config has a field of each kind that a file may fill.
type config struct {
	common
	TTL     time.Duration     `yaml:"token_caching_seconds"`
	Life    time.Duration     `yaml:"life_seconds" min:"1"`
	Wait    time.Duration     `yaml:"wait"`
	On      bool              `yaml:"on"`
	Mode    string            `yaml:"mode" enum:"off,optional,strict"`
	Port    uint16            `yaml:"port" min:"1"`
	Small   int8              `yaml:"small"`
	Ratio   float64           `yaml:"ratio"`
	Level   slog.Level        `yaml:"level"`
	Names   []string          `yaml:"names"`
	Modes   []string          `yaml:"modes" enum:"off,strict"`
	Texts   map[string]string `yaml:"texts"`
	Store   *store            `yaml:"store"`
	Clients []store           `yaml:"clients"`
	Rest    time.Duration     `yaml:"rest_seconds" also:"pause_seconds,break_seconds" word:"never"`
	Ordered yaml.Texts        `yaml:"ordered"`
	Ignored string
}

type store struct {
	Path string `yaml:"path,required"`
	Size int    `yaml:"size"`
}

func TestDecode(t *testing.T) {
	c := config{Mode: "optional", Small: 7, Ignored: "kept"}
	_, err := yaml.Decode("f", []byte(`# everything
name: songs
token_caching_seconds: 0
life_seconds: 3600
wait: 1m30s
on: TRUE
port: 8080
ratio: 1
level: WARN
names: [a, "7", "true"]
modes: [off]
texts: {b: c, "": d}
store:
  path: |-
    two
    lines
clients:
- path: x
  size: -3
- {path: y}
pause_seconds: never
ordered: {z: last, a: first}
`), &c)
	require.NoError(t, err)
	assert.Equal(t, config{
		common: common{Name: "songs"},
		Life:   time.Hour, Wait: 90 * time.Second, On: true, Mode: "optional", Port: 8080, Small: 7, Ratio: 1, Level: slog.LevelWarn,
		Names: []string{"a", "7", "true"}, Modes: []string{"off"}, Texts: map[string]string{"b": "c", "": "d"},
		Store: &store{Path: "two\nlines"}, Clients: []store{{"x", -3}, {Path: "y"}}, Ignored: "kept",
		Rest: yaml.Forever, Ordered: yaml.Texts{{Name: "z", Text: "last"}, {Name: "a", Text: "first"}},
	}, c)
}

// A file is found to have a value or not, under the name that it has there.
func TestSourceHas(t *testing.T) {
	s, err := yaml.Decode("f", []byte("name: a\npause_seconds: 3\nclients: [{path: x}]\n"), new(config))
	require.NoError(t, err)
	for path, want := range map[string]bool{"name": true, "pause_seconds": true, "rest_seconds": false, "": false} {
		assert.Equal(t, want, s.Has(path), path)
	}
	assert.True(t, s.Has("clients", 0, "path"))
	assert.False(t, s.Has("clients", 1))
	assert.False(t, s.Has("name", "path"))
	s, err = yaml.Decode("f", nil, new(config))
	require.Error(t, err)
	assert.False(t, s.Has())
}

// Every mistake is reported, and in the order of the file.
func TestDecodeMistakes(t *testing.T) {
	blocks := vectors(t, "testdata/decode.txt")
	for _, block := range blocks {
		t.Run(block.name, func(t *testing.T) {
			_, err := yaml.Decode("f", []byte(block.input), new(config))
			require.Error(t, err)
			assert.Equal(t, block.want, err.Error()+"\n")
		})
	}
}

// What a program finds out later is said of the place in the file.
func TestSource(t *testing.T) {
	var c config
	s, err := yaml.Decode("f", []byte("name: songs\nport: 0\nclients:\n- path: x\n- path: y\n  size: 2\n"), &c)
	require.EqualError(t, err, "f:2:7: port: is 0, but should be a whole number from 1 to 65535")
	s.Wrong("is a bad size\n(hint: 3)", "clients", 1, "size")
	s.Wrong("has no size", "clients", 0, "size")
	s.Wrong("is too much", "clients", 2)
	s.Wrong("is too much", "clients", -1)
	s.Wrong("is no name", "name")
	s.Wrong("is no place", "nowhere", "at", "all")
	assert.EqualError(t, s.Err(), strings.Join([]string{
		"f:1:1: nowhere.at.all: is no place",
		"f:1:7: name: is no name",
		"f:2:7: port: is 0, but should be a whole number from 1 to 65535",
		"f:4:1: clients[2]: is too much",
		"f:4:1: clients[-1]: is too much",
		"f:4:3: clients[0].size: has no size",
		"f:6:9: clients[1].size: is a bad size (hint: 3)",
	}, "\n"))
	s, err = yaml.Decode("f", []byte("name: songs"), &c)
	require.NoError(t, err)
	require.NoError(t, s.Err())
	s, err = yaml.Decode("f", nil, &c)
	require.EqualError(t, err, "f: is empty")
	s.Wrong("is no name", "name")
	assert.EqualError(t, s.Err(), "f: is empty\nf: name: is no name")
}

// What a struct can not be is a mistake in the program.
func TestDecodePanics(t *testing.T) {
	var c config
	for name, into := range map[string]any{
		"nil": nil, "struct": c, "nil pointer": (*config)(nil), "pointer to text": new(string),
		"channel": &struct {
			C chan int `yaml:"c"`
		}{},
		"minimum": &struct {
			N int `yaml:"c" min:"one"`
		}{},
		"word": &struct {
			N int `yaml:"c_seconds" word:"never"`
		}{},
	} {
		assert.Panics(t, func() { _, _ = yaml.Decode("f", []byte("c: 1"), into) }, name)
	}
	s, _ := yaml.Decode("f", []byte("name: x"), &c)
	assert.Panics(t, func() { s.Wrong("", 1.5) })
}

// A file can not make much of little, nor nest without end.
func TestDecodeIsBounded(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += strings.ReplaceAll("C: &C [*P, *P, *P, *P, *P, *P, *P, *P]\n", "C", string(c))
		bomb = strings.ReplaceAll(bomb, "*P", "*"+string(c-1))
	}
	many := 1 << 20
	if testing.Short() {
		many = 1 << 14
	}
	for name, input := range map[string]string{
		"bomb":   bomb,
		"lists":  "names: " + strings.Repeat("[", many),
		"blocks": strings.Repeat("- ", many),
		"long":   "name: " + strings.Repeat("x", 5<<20),
		"keys":   strings.Repeat("? ", many),
		"key":    strings.Repeat("x", 3*many) + ": 1",
		"choice": "mode: " + strings.Repeat("x", 3*many),
		"level":  "level: " + strings.Repeat("x", 3*many),
		"tag":    "mode: !" + strings.Repeat("x", 3*many) + " y",
	} {
		began := time.Now()
		_, err := yaml.Decode("f", []byte(input), new(config))
		require.Error(t, err, name)
		assert.Less(t, len(err.Error()), 100<<10, name)
		assert.Less(t, time.Since(began), 10*time.Second, name)
	}
}

// Whatever a file holds: each mistake has one line of text, and what is read
// without a mistake is what its struct allows.
func FuzzDecode(f *testing.F) {
	for _, block := range vectors(f, "testdata/decode.txt") {
		f.Add([]byte(block.input))
	}
	f.Add([]byte("name: a\nmode: strict\nport: 1\nclients: [{path: x}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c config
		_, err := yaml.Decode("f", data, &c)
		if err != nil {
			checkMistakes(t, err)
			return
		}
		if c.Name == "" || c.TTL < 0 || c.Mode != "" && c.Mode != "off" && c.Mode != "optional" && c.Mode != "strict" || c.Store != nil && c.Store.Path == "" {
			t.Fatalf("%q is %+v", data, c)
		}
	})
}

// checkMistakes checks that an error is made of mistakes, of one line each.
func checkMistakes(t *testing.T, err error) {
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var m *yaml.Mistake
		if !errors.As(e, &m) || m.Text == "" || strings.Contains(m.Text, "\n") {
			t.Fatalf("%q is no mistake", e)
		}
	}
}

// A vector is a file and what is wrong with it.
type vector struct{ name, input, want string }

func vectors(tb testing.TB, file string) []vector {
	tb.Helper()
	data, err := os.ReadFile(file)
	require.NoError(tb, err)
	var list []vector
	for _, block := range strings.Split(string(data), "=== ")[1:] {
		name, rest, _ := strings.Cut(block, "\n")
		input, want, found := strings.Cut(rest, "---\n")
		require.True(tb, found, name)
		list = append(list, vector{name, input, want})
	}
	require.NotEmpty(tb, list)
	return list
}
