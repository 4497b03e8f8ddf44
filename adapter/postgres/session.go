package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sneckauth/sneck/authserver"
)

// patience is how long calls that share a transaction wait for the database.
const patience = 30 * time.Second

// An undone error is one after which nothing has changed for certain.
type undone struct{ error }

func (u *undone) Unwrap() error { return u.error }

func isUndone(err error) bool {
	var u *undone
	return errors.As(err, &u)
}

// failed says what an error of a transaction means. After one that ends only
// the statement, the transaction can not be committed any more.
func failed(err error) error {
	if err == nil {
		return nil
	}
	var e *pgconn.PgError
	if errors.As(err, &e) && e.SeverityUnlocalized == "ERROR" || pgconn.SafeToRetry(err) {
		return &undone{err}
	}
	return err
}

// isBroken reports whether the connection and not the statement is at fault.
func isBroken(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.SeverityUnlocalized != "ERROR"
	}
	return true
}

// on runs f on a connection of a pool. If it breaks before anything can have
// changed, as those do that the database has closed, f runs again on the next.
func (s *Store) on(ctx context.Context, pool *pgxpool.Pool, f func(ctx context.Context, conn *pgx.Conn) error) error {
	for left := pool.Config().MaxConns; ; left-- {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			if s.closed.Load() && ctx.Err() == nil {
				return ErrClosed
			}
			return &undone{err}
		}
		err = f(ctx, conn.Conn())
		conn.Release() // closes it if a transaction was left open
		if err == nil || left == 0 || ctx.Err() != nil || !isUndone(err) || !isBroken(err) {
			return err
		}
	}
}

// exec runs a statement that is a transaction of its own. It asks first
// whether the connection is alive: of one that breaks later, nobody knows what
// it has done.
func exec(ctx context.Context, conn *pgx.Conn, query string, args ...any) (pgconn.CommandTag, error) {
	if err := conn.Ping(ctx); err != nil {
		return pgconn.CommandTag{}, &undone{err}
	}
	tag, err := conn.Exec(ctx, query, args...)
	return tag, failed(err)
}

// answer is the error that a caller gets.
func answer(err error) error {
	var e *pgconn.PgError
	const uniqueViolation = "23505"
	switch {
	case err == nil, errors.Is(err, ErrClosed):
		return err
	case errors.As(err, &e) && e.Code == uniqueViolation:
		return authserver.ErrExists
	}
	return &failure{err}
}

type failure struct{ err error }

// The text is without the details, which can have keys.
func (f *failure) Error() string { return "postgres: " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }
