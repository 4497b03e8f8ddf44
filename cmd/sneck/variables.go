package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// variables returns the environment, of which a process has a list of
// NAME=VALUE, by the names.
func variables(environ []string) map[string]string {
	env := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	return env
}

// testVariable begins the names of variables for tests.
const testVariable = settings.Prefix + "TEST_"

// ofService is how variables are called that Kubernetes sets for a service: its
// name may be sneck-redis.
var ofService = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// mistyped returns a mistake for each variable that no command reads, but whose
// name is like that of one that some command does. What is like none is for
// another program.
func mistyped(env map[string]string) []error {
	known := knownVariables()
	var mistakes []error
	for _, name := range slices.Sorted(maps.Keys(env)) {
		wrong, ours := strings.CutPrefix(name, settings.Prefix)
		if !ours || strings.HasPrefix(name, testVariable) || ofService.MatchString(name) || slices.Contains(known, wrong) {
			continue
		}
		if near := nearest(wrong, known); len(near) > 0 {
			mistakes = append(mistakes, fmt.Errorf("$%s is not read (hint: did you mean $%s%s?)", name, settings.Prefix, near[0]))
		}
	}
	return mistakes
}

// knownVariables returns what the variables are called that commands read,
// without the prefix.
func knownVariables() []string {
	names := []string{secretVariable}
	for _, s := range slices.Concat(settings.Of(serverSettings{}), settings.Of(guardSettings{})) {
		names = append(names, s.Variables...)
	}
	cli := newCommandLine()
	if parser, err := newParser(&cli); err == nil { // as it was when this one was made
		for _, leaf := range parser.Model.Leaves(false) {
			names = append(names, readBy(leaf)...)
		}
	}
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, settings.Prefix)
	}
	return names
}

// readBy returns the variables that flags of a command are read from.
func readBy(command *kong.Node) []string {
	var names []string
	for _, flag := range command.Flags {
		if name := flag.Tag.Get("from"); name != "" {
			names = append(names, name)
		}
	}
	return names
}
