package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sneckauth/sneck/authserver"
)

// eventKinds returns the names of the kinds of events that an audit log can have.
func eventKinds() []string {
	var names []string
	for _, kind := range authserver.EventKinds() {
		names = append(names, string(kind))
	}
	return names
}

// eventKind returns the kind of that name. A name that is none would find
// nothing, as if nothing had happened.
func eventKind(name string) (authserver.EventKind, error) {
	kinds := eventKinds()
	if !slices.Contains(kinds, name) {
		hint := strings.TrimSpace(meant(name, kinds))
		if hint == "" {
			hint = "such as token_issued, or another in the column EVENT of sneck audit show"
		}
		return "", usageError(fmt.Errorf("--kind: no event is called %q", name), hint)
	}
	return authserver.EventKind(name), nil
}
