package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a file as ours ("snck"), so that another program's
// tables are not touched.
const applicationID = 0x736e636b

// migrate brings the tables up to date. Each migration runs once, in the order
// of their names, with all others or not at all; the number of those that have
// run is the file's user_version.
func migrate(ctx context.Context, c *conn) (err error) {
	// The write lock is taken first, so that two processes that start at once
	// do not migrate both.
	if err := c.script(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.script(context.WithoutCancel(ctx), "ROLLBACK"))
		}
	}()
	found, err := c.numbers(`SELECT a.application_id, u.user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id a, pragma_user_version u`)
	if err != nil {
		return err
	}
	id, version, tables := found[0], int(found[1]), found[2]
	if id != applicationID && (tables > 0 || version > 0) {
		return errors.New("the file belongs to another program")
	}
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	if version > len(names) {
		return fmt.Errorf("the file was written by a newer version of this program (schema %d, known %d)", version, len(names))
	}
	for i, name := range names[version:] {
		script, err := migrations.ReadFile("migrations/" + name)
		if err != nil {
			return err
		}
		if err := c.script(ctx, string(script)); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
		// Pragmas take no parameters.
		err = c.script(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version+i+1))
		if err != nil {
			return err
		}
	}
	return c.script(ctx, "COMMIT")
}
