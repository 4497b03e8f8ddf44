package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A clientFlags says as which client to ask. The secret itself is no flag:
// other users of the machine can read command lines.
type clientFlags struct {
	Client       string `required:"" from:"SNECK_CLIENT" placeholder:"ID" help:"Client identifier ($$SNECK_CLIENT)."`
	SecretFile   string `placeholder:"FILE" help:"File with the client secret; $$SNECK_CLIENT_SECRET if left out."`
	InsecureHTTP bool   `name:"insecure-http" help:"Allow http to other machines, where everybody on the way can read."`
}

const secretVariable = "SNECK_CLIENT_SECRET"

// secret returns the client secret.
func (c *clientFlags) secret(con *console) (string, error) {
	if c.SecretFile == "" {
		if secret := con.env(secretVariable); secret != "" {
			return secret, nil
		}
		return "", usageError(errors.New("the client secret is missing"), "--secret-file FILE, or $"+secretVariable)
	}
	f, err := os.Open(c.SecretFile)
	if err != nil {
		return "", fmt.Errorf("%w (hint: look at --secret-file)", err)
	}
	defer f.Close()
	secret, err := readLine(f)
	if err != nil {
		return "", fmt.Errorf("read the secret in %s: %w", c.SecretFile, err)
	}
	return secret, nil
}

// maxLine is the longest secret or token that is read, in bytes.
const maxLine = 16 << 10

// readLine returns the one line that there is to read.
func readLine(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxLine+1))
	if err != nil {
		return "", err
	}
	line := strings.TrimRight(string(data), "\r\n")
	switch {
	case line == "":
		return "", errors.New("nothing is there")
	case len(data) > maxLine:
		return "", fmt.Errorf("it is longer than %d bytes", maxLine)
	case strings.ContainsAny(line, "\r\n"):
		return "", errors.New("there is more than one line")
	}
	return line, nil
}
