// Package fetch gets small documents from web servers that are named by
// somebody else: key sets, metadata.
//
// Only https is spoken, and http to a loopback address. Redirects are not
// followed, no cookies are sent, nothing is decompressed, and an answer that
// is too long is no answer.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// MaxBytes is the length of the longest answer.
const MaxBytes = 512 << 10

var (
	// ErrNotURL means that a string is not an absolute URL with a host and
	// nothing but a path and a query behind it.
	ErrNotURL = errors.New("fetch: not a URL of the form https://host/path")
	// ErrInsecure means that a URL is neither https nor http to the loopback.
	ErrInsecure = errors.New("fetch: https only")
)

// Check refuses URLs that [Client.Get] would.
func Check(raw string) error {
	_, err := parse(raw)
	return err
}

func parse(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, ErrNotURL
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return u, nil
	}
	return nil, ErrInsecure
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// A Client makes the requests. It is safe for concurrent use.
type Client struct{ secure, loopback *http.Client }

// New returns a Client. With publicOnly it connects to no address that is not
// public, whatever name led there, and uses no proxy.
func New(publicOnly bool) Client {
	if publicOnly {
		c := client(public, nil)
		return Client{c, c}
	}
	all := func(netip.Addr) bool { return true }
	return Client{client(all, http.ProxyFromEnvironment), client(netip.Addr.IsLoopback, nil)}
}

// Using returns a Client that connects as the given one does. Its redirect
// policy and cookie jar are not used.
func Using(c *http.Client) Client {
	copied := *c
	copied.CheckRedirect = noRedirect
	copied.Jar = nil
	return Client{&copied, &copied}
}

func client(allow func(netip.Addr) bool, proxy func(*http.Request) (*url.URL, error)) *http.Client {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		// This is the address that is really connected to, so a name that
		// resolves to another one the second time gains nothing.
		ip, err := netip.ParseAddrPort(address)
		if err != nil || !allow(ip.Addr().Unmap()) {
			return errors.New("fetch: connection to a refused address")
		}
		return nil
	}}
	return &http.Client{
		CheckRedirect: noRedirect,
		Transport: &http.Transport{
			Proxy:                  proxy,
			DialContext:            dialer.DialContext,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true,
			DisableKeepAlives:      true, // minutes lie between two requests
		},
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// notPublic are the ranges that the methods of netip.Addr do not tell: shared
// (RFC 6598), benchmarks, documentation, reserved, and the prefixes by which
// IPv6 reaches IPv4.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001:db8::/32"),
}

func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// Get returns the body of a 200 answer and its max-age, negative if unknown.
// ctx should have a deadline.
func (c Client) Get(ctx context.Context, raw string) ([]byte, time.Duration, error) {
	u, err := parse(raw)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	client := c.secure
	if u.Scheme == "http" {
		client = c.loopback
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("fetch: GET %s: status %d", u.Redacted(), resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBytes+1))
	if err != nil {
		return nil, 0, err
	}
	if len(body) > MaxBytes {
		return nil, 0, fmt.Errorf("fetch: GET %s: answer of more than %d bytes", u.Redacted(), MaxBytes)
	}
	return body, maxAge(resp.Header.Get("Cache-Control")), nil
}

func maxAge(cacheControl string) time.Duration {
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if strings.EqualFold(name, "max-age") {
			if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				return time.Duration(n) * time.Second
			}
		}
	}
	return -1
}
