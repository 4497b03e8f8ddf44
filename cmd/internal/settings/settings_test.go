package settings_test

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

type base struct {
	Listen string `yaml:"listen" group:"Server" doc:"address to listen at" placeholder:"ADDR"`
}

type config struct {
	base
	Life    time.Duration `yaml:"life_seconds" also:"max_age_seconds" word:"never" min:"1" env:"SNECK_TTL" flag:"ttl" doc:"how long it lives"`
	Every   time.Duration `yaml:"every"`
	On      bool          `yaml:"on"`
	Port    uint16        `yaml:"port" min:"1"`
	Ratio   float64       `yaml:"ratio"`
	Mode    string        `yaml:"mode" enum:"off,strict"`
	Level   slog.Level    `yaml:"level"`
	Names   []string      `yaml:"names"`
	Levels  []slog.Level  `yaml:"levels"`
	Scopes  yaml.Texts    `yaml:"scopes" flag:"scope"`
	Limits  limits        `yaml:"limits" group:"Limits"`
	Clients []client      `yaml:"clients"`
	Ignored string
}

type limits struct {
	Token struct {
		Client int `yaml:"client" min:"1"`
	} `yaml:"token"`
}

type client struct {
	ID string `yaml:"id,required"`
}

// full is a config with another value in each field.
func full() config {
	c := config{
		base: base{":1"}, Life: yaml.Forever, Every: 90 * time.Second, On: true, Port: 7, Ratio: 0.5, Mode: "strict", Level: slog.LevelWarn,
		Names: []string{"a", "1"}, Levels: []slog.Level{slog.LevelWarn}, Scopes: yaml.Texts{{Name: "z", Text: "Last; of all"}, {Name: "a", Text: "x=y"}},
		Clients: []client{{"c"}},
	}
	c.Limits.Token.Client = 9
	return c
}

const file = `
listen: ":1"
life_seconds: never
every: 1m30s
on: true
port: 7
ratio: 0.5
mode: strict
level: WARN
names: [a, "1"]
levels: [WARN]
scopes: {z: Last; of all, a: x=y}
limits: {token: {client: 9}}
clients: [{id: c}]
`

func env(pairs ...string) map[string]string {
	all := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		all[name] = value
	}
	return all
}

// The same can be said in each way.
func TestLoad(t *testing.T) {
	withoutSemicolon := full()
	withoutSemicolon.Scopes[0].Text = "Last"
	for name, test := range map[string]struct {
		sources settings.Sources
		want    config
	}{
		"file": {settings.Sources{File: "f", Data: []byte(file)}, full()},
		"environment": {settings.Sources{Env: env(
			"SNECK_LISTEN=:1", "SNECK_LIFE_SECONDS=never", "SNECK_EVERY=1m30s", "SNECK_ON=yes", "SNECK_PORT=7", "SNECK_RATIO=0.5", "SNECK_MODE=strict",
			"SNECK_LEVEL=WARN", "SNECK_NAMES=a, 1", "SNECK_LEVELS=WARN", "SNECK_SCOPES=z=Last; a=x=y", "SNECK_LIMITS_TOKEN_CLIENT=9", "SNECK_CLIENTS=[{id: c}]",
		)}, withoutSemicolon},
		"flags": {settings.Sources{Flags: map[string][]string{
			"listen": {":1"}, "ttl": {"1", "never"}, "every": {"1m30s"}, "on": {"true"}, "port": {"7"}, "ratio": {"0.5"}, "mode": {"strict"},
			"level": {"WARN"}, "names": {"a", "1"}, "levels": {"WARN"}, "scope": {"z=Last", "a=x=y"}, "limits-token-client": {"9"}, "clients": {"[{id: c}]"},
		}}, withoutSemicolon},
		"nothing": {settings.Sources{Env: env("SNECK_LISTEN=")}, config{}},
	} {
		var c config
		_, err := settings.Load(&c, test.sources)
		require.NoError(t, err, name)
		assert.Equal(t, test.want, c, name)
	}
}

// The flag counts before the variable, that before the file, and that before
// the default, under whichever name each is said.
func TestOrder(t *testing.T) {
	all := settings.Sources{
		File: "f", Data: []byte("max_age_seconds: 3\nnames: [file]"), Env: env("SNECK_TTL=2", "SNECK_NAMES=variable"),
		Flags: map[string][]string{"max-age-seconds": {"1"}, "names": {}},
	}
	for _, step := range []struct {
		change func(*settings.Sources)
		life   time.Duration
		names  []string
		from   string
	}{
		{func(*settings.Sources) {}, 1, []string{}, "--max-age-seconds"},
		{func(s *settings.Sources) { s.Flags = nil }, 2, []string{"variable"}, "$SNECK_TTL"},
		{func(s *settings.Sources) { s.Env = nil }, 3, []string{"file"}, "f"},
		{func(s *settings.Sources) { s.Data = nil }, 4, []string{"default"}, ""},
	} {
		step.change(&all)
		c := config{Life: 4 * time.Second, Names: []string{"default"}}
		l, err := settings.Load(&c, all)
		require.NoError(t, err)
		assert.Equal(t, config{Life: step.life * time.Second, Names: step.names}, c)
		assert.Equal(t, step.from, l.From("life_seconds"))
		assert.Equal(t, step.from != "", l.Said("life_seconds"))
		assert.Equal(t, step.from == "f", l.InFile("life_seconds"))
	}
}

// All mistakes are reported at once, each with its place and a hint.
func TestMistakes(t *testing.T) {
	var c config
	l, err := settings.Load(&c, settings.Sources{
		File: "f", Data: []byte("life_seconds: 0\nmax_age_seconds: 1\nlisten: a\nmod: strict\nlimits:\n  token: {cleint: 1}\nclients: [{}]\n"),
		Env: env("SNECK_PORT=0", "SNECK_EVERY=soon", "SNECK_ON=perhaps", "SNECK_NAMES=a", "SNECK_SCOPES=read", "SNECK_CLIENTS=[{\n}]"),
		Flags: map[string][]string{
			"mode": {"strikt"}, "port": {"x"}, "ttl": {"ever"}, "ratio": {"1,5"}, "levels": {"WARN LOUD"}, "limits-token-client": {"0"}, "scope": {"a=b", "a=c"},
		},
	})
	want := []string{
		`f:1:15: life_seconds: is 0, but should be a number of seconds from 1 to 3153600000`,
		`f:2:1: max_age_seconds: is another name of what is there already (hint: life_seconds)`,
		`f:4:1: mod: is an unknown key (hint: did you mean mode?)`,
		`f:6:11: limits.token.cleint: is an unknown key (hint: did you mean client?)`,
		`f:7:11: clients[0].id: is missing`,
		`--ttl is the text "ever", but should be a number of seconds, or never`,
		`$SNECK_EVERY is the text "soon", but should be a time (hint: such as 1m30s)`,
		`$SNECK_ON is the text "perhaps", but should be true or false (hint: leave it out to have the default)`,
		`$SNECK_PORT is 0, but should be a whole number from 1 to 65535`,
		`--port is the text "x", but should be a whole number (hint: such as 60)`,
		`--ratio is the text "1,5", but should be a number (hint: such as 0.5)`,
		`--mode "strikt" is none of off, strict (hint: did you mean strict?)`,
		`--levels[1] slog: level string "LOUD": unknown name`,
		`$SNECK_SCOPES "read" is not NAME=TEXT (hint: such as read="Read your data"; several with ; between them)`,
		`--scope.a is in line 1 already`,
		`--limits-token-client is 0, but should be a whole number from 1 to 9223372036854775807`,
		`$SNECK_CLIENTS has more than one line (hint: lists and mappings go in [ ] and { } there)`,
	}
	assert.Equal(t, want, strings.Split(err.Error(), "\n"))

	l.Wrong("listen", "is taken")
	l.Wrong("names", "has %d names", 1)
	l.Wrong("level", "is odd (hint: leave it out)")
	l.Missing("level", "N")
	// What was not understood is not wrong for another reason as well.
	l.Wrong("ratio", "is odd")
	l.Wrong("clients", "are none")
	l.Missing("limits.token.client", "N")
	want = append(append(append(want[:2:2], "f:3:9: listen: is taken"), want[2:]...), "$SNECK_NAMES has 1 names", "level is odd (hint: leave it out)",
		"level is missing (hint: --level N, $SNECK_LEVEL, or level: in the file of --config)")
	assert.Equal(t, want, strings.Split(l.Err().Error(), "\n"))
	assert.Panics(t, func() { l.Wrong("colour", "is unknown") })
	assert.Panics(t, func() {
		settings.Of(struct {
			A string `yaml:"a,required"`
		}{})
	})
}

// The parser of the command line knows the flags.
func TestFlags(t *testing.T) {
	parse := func(args ...string) (config, error) {
		f := settings.NewFlags(config{}, "listen")
		cli := struct {
			kong.Plugins
			Listen string
		}{Plugins: kong.Plugins{f.Plugin()}}
		parser, err := kong.New(&cli, kong.Exit(func(int) {}))
		require.NoError(t, err)
		if _, err := parser.Parse(args); err != nil {
			return config{}, err
		}
		c := config{On: true}
		_, err = settings.Load(&c, settings.Sources{Flags: f.Said()})
		return c, err
	}
	c, err := parse("--ttl", "never", "--no-on", "--names=a,b", "--names", "c", "--scope", "x=One, two", "--limits-token-client=3", "--listen=x", "--scopes=y=Three")
	require.NoError(t, err)
	want := config{Life: yaml.Forever, Names: []string{"a", "b", "c"}, Scopes: yaml.Texts{{Name: "x", Text: "One, two"}, {Name: "y", Text: "Three"}}}
	want.Limits.Token.Client = 3
	assert.Equal(t, want, c)
	_, err = parse("--name=a")
	require.ErrorContains(t, err, "unknown flag --name")
	c, err = parse()
	require.NoError(t, err)
	assert.Equal(t, config{On: true}, c)
}

// Whatever is said, it is refused with one line for each mistake, or what it
// says is read, the same wherever it is said.
func FuzzLoad(f *testing.F) {
	all := settings.Of(config{})
	for i, text := range []string{"", "never", "1m30s", "yes", "7", "1e3", "strict", "WARN", "a, b", "\x00=\"'}{", "a=b; c=d", "a=\u2028", "[{id: c}]"} {
		f.Add([]byte(file), uint8(i), text)
	}
	f.Fuzz(func(t *testing.T, data []byte, which uint8, text string) {
		var inFile, inEnv, inFlags config
		_, err := settings.Load(&inFile, settings.Sources{File: "f", Data: data})
		checkLines(t, err)
		if text == "" {
			return
		}
		s := all[int(which)%len(all)]
		_, envErr := settings.Load(&inEnv, settings.Sources{Env: env(s.Variables[0] + "=" + text)})
		_, flagErr := settings.Load(&inFlags, settings.Sources{Flags: map[string][]string{s.Flags[0]: {text}}})
		checkLines(t, envErr)
		if (envErr == nil) != (flagErr == nil) || !reflect.DeepEqual(inEnv, inFlags) {
			t.Fatalf("%s: %q is %+v (%v) in the environment, %+v (%v) on the command line", s.Key, text, inEnv, envErr, inFlags, flagErr)
		}
		if s.Key == "listen" && envErr == nil && text != inEnv.Listen {
			t.Fatalf("%q became %q", text, inEnv.Listen)
		}
	})
}

func checkLines(t *testing.T, err error) {
	if err == nil {
		return
	}
	for _, e := range err.(settings.Mistakes) {
		if e.Error() == "" || strings.ContainsAny(e.Error(), "\r\n") {
			t.Fatalf("%q is not one line", e)
		}
	}
}

// What is in force is printed without passwords, wherever a URL has them.
func TestInForceWithoutPasswords(t *testing.T) {
	for said, want := range map[string]string{
		"postgres://u@db/x":                              "postgres://u@db/x",
		"postgres://u:hunter2@db/x":                      "postgres://u:xxxxx@db/x",
		"postgres://u@db/x?password=hunter2":             "postgres://u@db/x?password=xxxxx",
		"postgres://u@db/x?sslkey=k&sslpassword=hunter2": "postgres://u@db/x?sslkey=k&sslpassword=xxxxx",
		"postgres://u:hunter2@db:x":                      "(not a URL)",
	} {
		var c config
		l, err := settings.Load(&c, settings.Sources{Flags: map[string][]string{"listen": {said}}})
		require.NoError(t, err)
		assert.Equal(t, settings.InForce{Key: "listen", Value: want, From: "--listen"}, l.InForce(&c)[0])
	}
}
