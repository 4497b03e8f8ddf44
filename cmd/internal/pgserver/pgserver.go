//go:build unix

// Package pgserver runs a PostgreSQL of one's own from the binaries on the
// path, as it comes: with fsync. It is for tests that kill it and for
// measurements that must not share it.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Server is a PostgreSQL in a directory, reached by a socket in it and by no
// network. It is not safe for concurrent use.
type Server struct {
	dir        string
	settings   []string
	credential *syscall.Credential
	cmd        *exec.Cmd
	ended      chan error
}

// patience is how long a server may take to start, also after a crash.
const patience = time.Minute

// Start makes a database in a new directory and starts it, with settings like
// "shared_buffers=512MB" besides the defaults. Stop deletes the directory.
func Start(ctx context.Context, settings ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "pg") // the path of a socket must be short
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, settings: settings}
	if err := s.init(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.Restart(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) init(ctx context.Context) error {
	if os.Geteuid() == 0 { // as which PostgreSQL refuses to run
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return err
		}
		s.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	init := s.command(ctx, "initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	return cmd
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// URL returns how to connect.
func (s *Server) URL() string {
	return "postgres:///postgres?" + url.Values{"host": {s.dir}, "user": {"postgres"}}.Encode()
}

// PID returns the process of which all others of the server are children.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Restart starts a server that was killed, and returns when it answers.
func (s *Server) Restart(ctx context.Context) error {
	deadline, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if err := s.start(); err != nil {
			return err
		}
		for {
			select {
			case <-deadline.Done():
				return fmt.Errorf("PostgreSQL does not answer (hint: %s)", s.logFile())
			case err := <-s.ended:
				// Processes of the one that was killed may still be there.
				s.ended <- err
			case <-time.After(20 * time.Millisecond):
				conn, err := pgx.Connect(deadline, s.URL())
				if err != nil {
					continue
				}
				return conn.Close(deadline)
			}
			break
		}
		select {
		case <-deadline.Done():
			return fmt.Errorf("PostgreSQL does not start (hint: %s)", s.logFile())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

func (s *Server) start() error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses="}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	s.cmd = s.command(context.Background(), "postgres", args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := s.cmd, make(chan error, 1)
	s.ended = ended
	go func() { ended <- cmd.Wait() }()
	return nil
}

// Kill kills the process that all others depend on, which so end as well.
func (s *Server) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	err := <-s.ended
	s.ended <- err
	return nil
}

// Stop stops the server at once, and deletes what it has kept.
func (s *Server) Stop() error {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.ended
	}
	return os.RemoveAll(s.dir)
}
