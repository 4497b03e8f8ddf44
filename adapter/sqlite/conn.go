package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"
)

// A conn is one connection, for one goroutine at a time. It uses the driver
// without database/sql, whose pool, conversions and watching of contexts cost
// more than the statements here.
type conn struct {
	driver interface {
		driver.Conn
		driver.ExecerContext
		driver.ConnPrepareContext
	}
	stmts map[string]*stmt
}

// A stmt is a prepared statement.
type stmt struct {
	driver interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	args []driver.NamedValue
	row  []driver.Value
}

func connect(dsn string) (*conn, error) {
	opened, err := (&sqlite.Driver{}).Open(dsn)
	if err != nil {
		return nil, err
	}
	c := &conn{stmts: map[string]*stmt{}}
	var ok bool
	if c.driver, ok = opened.(interface {
		driver.Conn
		driver.ExecerContext
		driver.ConnPrepareContext
	}); !ok {
		return nil, errors.Join(errors.New("the driver lacks a method"), opened.Close())
	}
	return c, nil
}

// close closes the statements, too: SQLite keeps a connection with open ones,
// and the last to close the file would never move the WAL into it.
func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.driver.Close())
	}
	c.stmts = nil
	return errors.Join(append(errs, c.driver.Close())...)
}

// stmt prepares a statement once. There is a limited number of different ones.
func (c *conn) stmt(query string) (*stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	prepared, err := c.driver.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	s := &stmt{}
	var ok bool
	if s.driver, ok = prepared.(interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}); !ok {
		return nil, errors.Join(errors.New("the driver lacks a method"), prepared.Close())
	}
	c.stmts[query] = s
	return s, nil
}

func (s *stmt) bind(args []driver.Value) []driver.NamedValue {
	s.args = s.args[:0]
	for i, arg := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	return s.args
}

// exec runs a statement and returns how many rows it has changed. The
// arguments are int64, string, []byte and nil. No context ends a statement:
// each takes very little time, and watching costs more.
func (c *conn) exec(query string, args ...driver.Value) (int64, error) {
	s, err := c.stmt(query)
	if err != nil {
		return 0, err
	}
	result, err := s.driver.ExecContext(context.Background(), s.bind(args))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query calls each with every row of a result; what the row has in it may be
// kept, the row itself may not.
func (c *conn) query(each func(row []driver.Value) error, query string, args ...driver.Value) (err error) {
	s, err := c.stmt(query)
	if err != nil {
		return err
	}
	rows, err := s.driver.QueryContext(context.Background(), s.bind(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if s.row == nil {
		s.row = make([]driver.Value, len(rows.Columns()))
	}
	for {
		err := rows.Next(s.row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(s.row); err != nil {
			return err
		}
	}
}

// script runs statements that are not worth keeping.
func (c *conn) script(ctx context.Context, text string) error {
	_, err := c.driver.ExecContext(ctx, text, nil)
	return err
}

// numbers returns a row of numbers.
func (c *conn) numbers(query string, args ...driver.Value) (row []int64, err error) {
	err = c.query(func(values []driver.Value) error {
		for _, v := range values {
			n, ok := v.(int64)
			if !ok {
				return fmt.Errorf("%T is not a number", v)
			}
			row = append(row, n)
		}
		return nil
	}, query, args...)
	return row, err
}
