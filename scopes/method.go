package scopes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A ReadWrite makes requirements of requests that only read and of those that
// may write. Requests with the methods GET, HEAD and OPTIONS read, all others
// write. Combine it with other requirements by [Requirement.And].
type ReadWrite struct {
	// Read and Write are the names of the scopes; "read" and "write" if
	// empty.
	Read, Write string
}

// Required demands the read scope of requests that read and the write scope
// of all others.
func (rw ReadWrite) Required() Requirement {
	read, write := rw.names()
	return readWrite(All(read), All(write))
}

// Resource demands "songs:read" or "songs:write" of a request for the
// resource "songs", and if there are several resources, this of each.
func (rw ReadWrite) Resource(names ...string) Requirement {
	read, write := rw.names()
	reads, writes := make([]string, len(names)), make([]string, len(names))
	for i, name := range names {
		if name == "" {
			return Requirement{mistake: errors.New("scopes: a resource must not be empty")}
		}
		reads[i], writes[i] = name+":"+read, name+":"+write
	}
	return readWrite(All(reads...), All(writes...))
}

func (rw ReadWrite) names() (read, write string) {
	read, write = rw.Read, rw.Write
	if read == "" {
		read = "read"
	}
	if write == "" {
		write = "write"
	}
	return read, write
}

func readWrite(read, write Requirement) Requirement {
	write.byMethod = map[string]Requirement{"GET": read, "HEAD": read, "OPTIONS": read}
	return write
}

// Methods demands of each request method what the map says, in the manner of
// OpenAPI: the alternatives of "GET" may be All("read").Or(All("admin")). One
// key may name several methods, separated by spaces. A method that no key
// names is refused, whatever the token; so is HEAD where only GET is named.
func Methods(demands map[string]Requirement) Requirement {
	out := Requirement{byMethod: make(map[string]Requirement)}
	var mistakes []error
	for _, key := range slices.Sorted(maps.Keys(demands)) {
		demand := demands[key]
		methods := strings.Fields(key)
		if len(methods) == 0 {
			mistakes = append(mistakes, errors.New("scopes: a key of Methods names no method"))
		}
		for _, method := range methods {
			if method != strings.ToUpper(method) {
				mistakes = append(mistakes, fmt.Errorf("scopes: method %q is not in upper case (hint: methods are case-sensitive)", method))
			}
			if strings.ContainsAny(method, ",;/|") {
				mistakes = append(mistakes, fmt.Errorf("scopes: %q is not a method (hint: separate methods by spaces)", method))
			}
			if _, again := out.byMethod[method]; again {
				mistakes = append(mistakes, fmt.Errorf("scopes: method %s is named twice", method))
			}
			if demand.mistake != nil {
				mistakes = append(mistakes, fmt.Errorf("scopes: for method %s: %w", method, demand.mistake))
			}
			out.byMethod[method] = demand.For(method)
		}
	}
	if len(mistakes) > 0 {
		return Requirement{mistake: errors.Join(mistakes...)}
	}
	return out
}
