package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// A checkCommand is "sneck check".
type checkCommand struct {
	File      string `arg:"" optional:"" placeholder:"FILE" help:"File to check; - is the standard input."`
	As        string `enum:"auto,server,guard,routes" default:"auto" help:"What the file is: server, guard or routes; what its keys say if left out."`
	Effective bool   `help:"Print every setting that is in force, and where it comes from."`
	Schema    string `enum:",server,guard,routes" default:"" placeholder:"KIND" help:"Print the JSON Schema of such files, for editors: server, guard or routes."`
	JSON      bool   `name:"json" help:"Print a JSON object."`
}

// Help is printed below the flags.
func (*checkCommand) Help() string {
	return `It says whether a file is right: that of "sneck serve --config" or "sneck guard
--config", or a table of routes. All mistakes are printed at once, each with its
key, line and column. It touches neither a database nor the network. It takes the
SNECK_ variables of the environment as the command will. Files with keys and
secrets need not be there. Ends with 1 if something is wrong.

Examples:

    sneck check sneck.yaml
    sneck check sneck.yaml --effective
    sneck check routes.yaml --json | jq .mistakes
    sneck check --schema server >sneck.schema.json
`
}

// A fileKind is a kind of file that can be checked.
type fileKind struct {
	name   string
	schema func() []byte
	// keys are those at the top of such a file.
	keys []string
	// check returns what is in force, and all mistakes.
	check func(settings.Sources) ([]settings.InForce, error)
}

// fileKinds are those that there are.
func fileKinds() []fileKind {
	return []fileKind{
		{"server", func() []byte { return yaml.Schema(serverSettings{}) }, topKeys(serverSettings{}), checkServer},
		{"guard", guardSchema, topKeys(guardSettings{}), checkGuard},
		{"routes", yaml.RoutesSchema, []string{"routes", "hierarchy"}, checkRoutes},
	}
}

// topKeys returns the keys of settings that are in no mapping, or of the one
// that they are in.
func topKeys(v any) []string {
	var keys []string
	for _, s := range settings.Of(v) {
		for _, name := range append([]string{s.Key}, s.Also...) {
			top, _, _ := strings.Cut(name, ".")
			keys = append(keys, top)
		}
	}
	return keys
}

// checkServer returns what is in force, and what is wrong with it. Files with
// keys that are not there are those of another machine.
func checkServer(s settings.Sources) ([]settings.InForce, error) {
	set := defaultSettings()
	set.elsewhere = true
	_, l, err := set.load(s)
	return l.InForce(&set), err
}

func checkRoutes(s settings.Sources) ([]settings.InForce, error) {
	table, err := yaml.Parse(s.File, s.Data)
	if err == nil {
		err = table.Check()
	}
	return nil, err
}

// Run checks the file.
func (c *checkCommand) Run(con *console) error {
	kinds := fileKinds()
	if c.Schema != "" {
		i := slices.IndexFunc(kinds, func(k fileKind) bool { return k.name == c.Schema })
		_, err := con.out.Write(kinds[i].schema())
		return err
	}
	if c.File == "" {
		return usageError(errors.New("the file is missing"), "sneck check sneck.yaml")
	}
	data, err := c.read(con)
	if err != nil {
		return usageError(err, "sneck check FILE")
	}
	kind, err := c.kindOf(kinds, data)
	if err != nil {
		return err
	}
	inForce, err := kind.check(settings.Sources{File: c.File, Data: data, Env: con.env, Mistakes: mistyped(con.env)})
	report := checked{File: c.File, Kind: kind.name, Mistakes: located(err), OK: err == nil}
	if c.Effective && err == nil {
		report.Settings = inForce
	}
	if err := report.write(con, c.JSON); err != nil {
		return err
	}
	if !report.OK {
		return &exitError{status: exitNo}
	}
	return nil
}

func (c *checkCommand) read(con *console) ([]byte, error) {
	if c.File != "-" {
		return readConfig(c.File)
	}
	return io.ReadAll(io.LimitReader(con.in, maxConfig))
}

// kindOf returns what the file is to be: that whose keys it has most of.
func (c *checkCommand) kindOf(kinds []fileKind, data []byte) (fileKind, error) {
	source, err := yaml.Decode(c.File, data, &struct{}{})
	if !source.Has() && c.As == "auto" { // it is no YAML, whatever it was to be
		return fileKind{name: "unknown", check: func(settings.Sources) ([]settings.InForce, error) { return nil, err }}, nil
	}
	best, most := fileKind{}, 0
	for _, kind := range kinds {
		n := 0
		for _, key := range kind.keys {
			if source.Has(key) {
				n++
			}
		}
		if kind.name == c.As {
			return kind, nil
		}
		if n > most {
			best, most = kind, n
		}
	}
	if most == 0 {
		return fileKind{}, usageError(fmt.Errorf("%s has no key of a file that sneck reads", c.File), "--as server, to hear what is wrong with it")
	}
	return best, nil
}
