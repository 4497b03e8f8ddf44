package main

import (
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

const configVariable = "SNECK_CONFIG"

// A configFlag names the file with settings.
type configFlag struct {
	Config string `from:"SNECK_CONFIG" placeholder:"FILE" help:"YAML file with settings ($$SNECK_CONFIG)."`
}

// sources returns where settings are said, with the file read.
func (f configFlag) sources(env map[string]string, flags *settings.Flags) (settings.Sources, error) {
	s := settings.Sources{File: f.Config, Env: env, Flags: flags.Said(), Mistakes: mistyped(env)}
	if f.Config == "" {
		return s, nil
	}
	data, err := readConfig(f.Config)
	if err != nil {
		return s, usageError(err, "look at --config")
	}
	s.Data = data
	return s, nil
}

// maxConfig is one byte more than what a file with settings may have.
const maxConfig = 4<<20 + 1

func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxConfig))
}

// configOf returns the file with settings for a command: that of its --config,
// or of the environment.
func configOf(ctx *kong.Context, env map[string]string) string {
	for _, flag := range ctx.Flags() {
		if flag.Name != "config" {
			continue
		}
		if path, _ := ctx.FlagValue(flag).(string); path != "" {
			return path
		}
	}
	return env[configVariable]
}

// fromFile returns what a file says of the server's setting that has a
// variable; nil if there is no such setting, or the file has none. Mistakes in
// other settings do not matter: the file may even be that of a guard.
func fromFile(path, variable string) (any, error) {
	list := settings.Of(serverSettings{})
	i := slices.IndexFunc(list, func(s settings.Setting) bool { return slices.Contains(s.Variables, variable) })
	if path == "" || i < 0 {
		return nil, nil
	}
	data, err := readConfig(path)
	if err != nil {
		return nil, withoutConfig(err)
	}
	if file, err := yaml.Decode(path, data, &struct{}{}); !file.Has() { // it is no YAML
		return nil, withoutConfig(err)
	}
	var set serverSettings
	l, _ := settings.Load(&set, settings.Sources{File: path, Data: data})
	switch key := list[i].Key; {
	case l.Flawed(key):
		return nil, l.Err()
	case !l.Said(key):
		return nil, nil
	case key == "data" && hasPassword(set.Data):
		set.checkData(l)
		return nil, l.Err()
	case key == "data":
		return set.Data, nil // as it is, where Text would leave out what may be secret
	}
	return settings.Text(list[i].Value(&set)), nil
}

// withoutConfig says how to do without a file that can not be read. What it would
// have said, such as where the audit log is, must not be left out unnoticed.
func withoutConfig(err error) error {
	return hinted(err, "look at --config, or do without it: "+configVariable+"= sneck …")
}
