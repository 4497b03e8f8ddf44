package admin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The errors of operations. What they wrap says more, and ends with a hint for
// the person; any other error means that something does not work.
var (
	// ErrNotFound means that there is no such client, account, session, token,
	// key or secret.
	ErrNotFound = errors.New("admin: not found")
	// ErrExists means that a name is taken.
	ErrExists = errors.New("admin: exists already")
	// ErrChanged means that a client is not any more as the caller has seen it.
	ErrChanged = errors.New("admin: changed meanwhile")
	// ErrInvalid means that what was asked for is not possible.
	ErrInvalid = errors.New("admin: invalid")
	// ErrAbsent means that the server is not configured for it: it has no
	// accounts, no audit log, or no signing keys in its store.
	ErrAbsent = errors.New("admin: the server has none")
	// ErrNotRecorded means that it was done, but is not in the audit log.
	ErrNotRecorded = errors.New("admin: done, but not recorded")
	// ErrTakenBack means that what was made could not be put into the audit log,
	// and is gone again.
	ErrTakenBack = errors.New("admin: taken back, as it could not be recorded")
)

// A refusal is one of the errors above, in words for the person.
type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return "admin: " + r.text }
func (r *refusal) Unwrap() error { return r.kind }

func refuse(kind error, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}

// invalid marks what another package has found wrong with what was asked for.
func invalid(err error) error {
	var parts []string
	for line := range strings.Lines(err.Error()) {
		// The names of packages mean nothing to the person.
		line = strings.TrimSpace(line)
		if name, rest, ok := strings.Cut(line, ": "); ok && slices.Contains([]string{"authserver", "pages", "scopes", "audit"}, name) {
			line = rest
		}
		parts = append(parts, line)
	}
	return &refusal{ErrInvalid, strings.Join(parts, "; ")}
}

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }
