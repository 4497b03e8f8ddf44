package authserver

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// checkRedirectURI refuses what must not be registered: relative URIs, ones
// with a fragment, and ones with a scheme that is not allowed. Plain http is
// for loopback hosts, unless it is allowed explicitly (RFC 8252, section 7.3;
// RFC 9700, section 4.1).
func checkRedirectURI(uri string, schemes []string, insecureHTTP bool) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil || !isVSCHAR(uri) || strings.ContainsAny(uri, ` "<>\^{|}`+"`"):
		return errors.New("it is not a URI")
	case u.Scheme == "":
		return errors.New("it is relative")
	case strings.Contains(uri, "#"):
		return errors.New("it has a fragment")
	case u.User != nil:
		return errors.New("it has user information")
	case !slices.ContainsFunc(schemes, func(s string) bool { return strings.EqualFold(s, u.Scheme) }):
		return fmt.Errorf("the scheme is not one of %q", schemes)
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() == "":
		return errors.New("it has no host")
	case u.Scheme == "http" && !insecureHTTP && !isLoopback(u.Hostname()):
		return errors.New("http is for loopback hosts only")
	}
	return nil
}

// forbiddenScheme reports whether a scheme does something in a browser other
// than to go elsewhere.
func forbiddenScheme(scheme string) bool {
	return slices.Contains([]string{"", "javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"},
		strings.ToLower(scheme))
}

// matchRedirectURI reports whether the URI is the registered one, byte by byte.
// Of a loopback IP address, any port will do (RFC 8252, section 7.3).
func matchRedirectURI(registered, uri string) bool {
	if registered == uri {
		return true
	}
	a, err1 := url.Parse(registered)
	b, err2 := url.Parse(uri)
	if err1 != nil || err2 != nil || a.Scheme != "http" || a.Hostname() == "localhost" || !isLoopback(a.Hostname()) {
		return false
	}
	without, ok1 := withoutPort(registered, a)
	candidate, ok2 := withoutPort(uri, b)
	return ok1 && ok2 && without == candidate
}

// withoutPort cuts the port out of the text of a URI, so that the rest is still
// compared as it was written.
func withoutPort(text string, u *url.URL) (string, bool) {
	rest, found := strings.CutPrefix(text, "http://"+u.Host)
	if !found || u.User != nil {
		return "", false
	}
	return "http://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + rest, true
}

// redirectURI returns where the client wants the answer of the authorization
// endpoint, if that is registered.
func (s *Server) redirectURI(client *Client, asked string) (string, error) {
	uri := asked
	if asked == "" {
		if len(client.RedirectURIs) != 1 {
			return "", errors.New("redirect_uri is missing")
		}
		uri = client.RedirectURIs[0]
	}
	if !slices.ContainsFunc(client.RedirectURIs, func(registered string) bool { return matchRedirectURI(registered, uri) }) {
		return "", errors.New("redirect_uri is not registered for the client")
	}
	if checkRedirectURI(uri, s.redirectSchemes(client), s.config.InsecureHTTPRedirects) != nil {
		return "", errors.New("redirect_uri is not allowed")
	}
	return uri, nil
}

func (s *Server) redirectSchemes(c *Client) []string {
	if len(c.RedirectSchemes) > 0 {
		return c.RedirectSchemes
	}
	return s.config.RedirectSchemes
}

// withParams adds parameters to the query that a redirect URI may have, which
// is kept as it is (RFC 6749, section 3.1.2).
func withParams(uri string, params url.Values) string {
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
		if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
			separator = ""
		}
	}
	return uri + separator + params.Encode()
}
