package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// A clientFlags says as which client to ask. The secret itself is no flag:
// other users of the machine can read command lines.
type clientFlags struct {
	Client       string        `required:"" from:"SNECK_CLIENT" placeholder:"ID" help:"Client identifier ($$SNECK_CLIENT)."`
	SecretFile   string        `placeholder:"FILE" help:"File with the client secret; $$SNECK_CLIENT_SECRET if left out."`
	Timeout      time.Duration `default:"10s" help:"How long to wait for the answer."`
	InsecureHTTP bool          `name:"insecure-http" help:"Allow http to other machines, where everybody on the way can read."`
}

// check refuses an endpoint that a secret must not be sent to.
func (c *clientFlags) check(endpoint string) error {
	if c.Timeout <= 0 {
		return usageError(fmt.Errorf("--timeout %v is not positive", c.Timeout), "--timeout 10s")
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https":
		return usageError(fmt.Errorf("--url %q is not the URL of an endpoint", endpoint), "an absolute one, such as https://auth.example.com/token")
	case u.Scheme == "http" && !c.InsecureHTTP && !isLoopback(u.Hostname()):
		return usageError(fmt.Errorf("--url %s would send the secret readable by all on the way", endpoint), "https, or --insecure-http")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

const secretVariable = "SNECK_CLIENT_SECRET"

// secret returns the client secret.
func (c *clientFlags) secret(con *console) (string, error) {
	if c.SecretFile == "" {
		if secret := con.env[secretVariable]; secret != "" {
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
		return "", fmt.Errorf("read the secret in %s: %w (hint: one line with the secret alone; sneck client secret add makes another)", c.SecretFile, err)
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
