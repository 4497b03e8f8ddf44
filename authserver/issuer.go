package authserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// checkIssuer refuses what is not an issuer identifier (RFC 8414, section 2)
// in the one spelling that clients compare byte by byte.
func checkIssuer(issuer string) error {
	if issuer == "" {
		return errors.New("is missing (hint: the URL under which clients reach the server, such as https://auth.example.com)")
	}
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || !isVSCHAR(issuer) || strings.ContainsAny(issuer, ` "\`):
		return fmt.Errorf("%q is not a URL", issuer)
	case strings.ContainsAny(issuer, "?#"):
		return fmt.Errorf("%q has a query or a fragment", issuer)
	case u.User != nil:
		return errors.New("has user information")
	case strings.HasSuffix(u.Path, "/"):
		return fmt.Errorf("%q ends with a slash (hint: leave it out)", issuer)
	case u.EscapedPath() != u.Path || hasDotSegment(u.Path) || strings.Contains(u.Path, "//"):
		return fmt.Errorf("the path of %q is not in its plain form", issuer)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%q is not https (hint: http is for loopback hosts only)", issuer)
	}
	return fmt.Errorf("%q is not https", issuer)
}

func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
