package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables of the schema up to date and returns the schema's
// own number for advisory locks. Each migration runs once, in the order of
// their names, with all others or not at all; the number of those that have
// run is in the table migrated.
func migrate(ctx context.Context, conn *pgx.Conn, schema string) (space int32, err error) {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return 0, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)

	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		// Servers that start at the same time wait here for the first.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('sneck ' || $1, 0))`, schema); err != nil {
			return err
		}
		version, err := prepare(ctx, tx, schema)
		if err != nil {
			return err
		}
		if version > len(names) {
			return fmt.Errorf("the schema was written by a newer version of this program (schema %d, known %d)", version, len(names))
		}
		for _, name := range names[version:] {
			script, err := migrations.ReadFile("migrations/" + name)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, string(script), pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("migration %s: %w", name, err)
			}
		}
		if version < len(names) {
			if _, err := tx.Exec(ctx, `UPDATE migrated SET version = $1`, len(names)); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `SELECT space FROM migrated`).Scan(&space)
	})
	return space, err
}

// prepare makes the schema and its table of the version, unless they are
// there, and returns the version.
func prepare(ctx context.Context, tx pgx.Tx, schema string) (version int, err error) {
	var has, ours, empty bool
	err = tx.QueryRow(ctx, `SELECT
			EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
			EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrated'),
			NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1)`, schema).Scan(&has, &ours, &empty)
	if err != nil {
		return 0, err
	}
	switch {
	case ours:
		err = tx.QueryRow(ctx, `SELECT version FROM migrated`).Scan(&version)
		return version, err
	case !empty:
		return 0, errors.New("the schema belongs to another program (hint: set Config.Schema)")
	case !has:
		// Not IF NOT EXISTS, which asks for more rights even if it exists.
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{schema}.Sanitize()); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(ctx, `CREATE TABLE migrated AS SELECT 0 AS version, (random() * 2000000000)::int AS space`)
	return 0, err
}
