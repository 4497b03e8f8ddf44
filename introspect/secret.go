package introspect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// A Secret is where a secret comes from. It is asked for every request, so
// that a change is noticed, and must be safe for concurrent use. Its errors
// must not contain the secret.
type Secret func() (string, error)

// File is a Secret in a file, without the line end after it. The file is read
// again when it has changed; if it can not be read any more, the last secret
// stays, as it may well be good.
func File(path string) Secret {
	w := &watched[string]{path: path, parse: func(data []byte) (string, error) {
		s := strings.TrimRight(string(data), "\r\n")
		if s == "" {
			return "", errors.New("the file is empty")
		}
		return s, nil
	}}
	return w.get
}

// Env is a Secret in an environment variable.
func Env(name string) Secret {
	return func() (string, error) {
		s := os.Getenv(name)
		if s == "" {
			return "", fmt.Errorf("introspect: the environment variable %s is not set", name)
		}
		return s, nil
	}
}

// Rotating is a credential whose secret may change while it is used, such as
//
//	Rotating(File("/run/secrets/introspection-token"), Bearer)
//
// It calls with to make a credential of the first secret, and of every other
// that follows. [New] asks for the first, and reports it if there is none.
func Rotating(secret Secret, with func(secret string) Credential) Credential {
	return &rotating{secret: secret, with: with}
}

type rotating struct {
	secret Secret
	with   func(string) Credential

	mu   sync.Mutex
	last string
	made Credential
}

func (c *rotating) Sign(ctx context.Context, r *Request) error {
	made, err := c.current()
	if err != nil {
		return err
	}
	return made.Sign(ctx, r)
}

func (c *rotating) current() (Credential, error) {
	secret, err := c.secret()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil || secret != c.last {
		made := c.with(secret)
		if made == nil {
			return nil, errors.New("introspect: Rotating: there is no credential of the secret")
		}
		// A secret that no header can carry must not get into one.
		if s, ok := made.(*static); ok {
			if err := s.check(nil); err != nil {
				return nil, err
			}
		}
		c.last, c.made = secret, made
	}
	return c.made, nil
}

func (c *rotating) check(*Config) error {
	if c.secret == nil || c.with == nil {
		return errors.New("introspect: Rotating needs a secret and a function")
	}
	_, err := c.current()
	return err
}

// String hides the secret from careless printing.
func (c *rotating) String() string { return "introspect.Rotating(…)" }

// GoString is String.
func (c *rotating) GoString() string { return c.String() }
