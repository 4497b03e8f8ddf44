package jwt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sneckauth/sneck/internal/jws"
)

// A Fetch says how key sets are fetched. The zero Fetch is ready for use.
//
// Whatever is set here: only https is spoken, and http to a loopback address;
// redirects are not followed, no cookies are sent, and an answer of more than
// 512 KiB is no answer.
type Fetch struct {
	// Refresh is how long a key set is used before a new one must be asked
	// for; the answer's Cache-Control max-age can shorten it, to a minute at
	// the least. The default is 10 minutes.
	Refresh time.Duration
	// MaxStale is how long after it was fetched a key set is used on if no
	// new one can be had. The default is 1 hour, or Refresh if that is more.
	MaxStale time.Duration
	// UnknownKeyInterval is the shortest time between two fetches for keys
	// that are not in the set. The default is 30 seconds.
	UnknownKeyInterval time.Duration
	// Timeout bounds one fetch, with the discovery before it. The default is
	// 5 seconds.
	Timeout time.Duration
	// RSAAlgorithm is the algorithm of RSA keys that do not name one. The
	// default is RS256.
	RSAAlgorithm string
	// RefusePrivateAddresses makes every connection to an address fail that
	// is not public, whatever name led there: use it where the issuers are
	// named by others. No proxy is used then.
	RefusePrivateAddresses bool
	// HTTPClient, if not nil, makes the connections; for tests, own
	// certificate authorities, proxies. Its redirect policy and cookie jar
	// are not used. It can't be combined with RefusePrivateAddresses, which
	// needs a dialer of its own.
	HTTPClient *http.Client
	// Dir, if not empty, is a directory in which the last good key set of
	// every source is kept, to start with if the issuer is down then. Who can
	// write there can forge tokens: keep it to the service. MaxStale counts
	// from the fetch, as ever.
	Dir string
	// Logger is told of fetches that fail, for people to look at. The default
	// is silent.
	Logger *slog.Logger
	// Now returns the time; the default is time.Now.
	Now func() time.Time
}

const (
	maxBodyBytes    = 512 << 10
	defaultRefresh  = 10 * time.Minute
	minRefresh      = time.Minute
	defaultMaxStale = time.Hour
	defaultUnknown  = 30 * time.Second
	defaultTimeout  = 5 * time.Second
)

// check returns every mistake.
func (f Fetch) check() error {
	var errs []error
	mistake := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New("jwt: "+text))
		}
	}
	mistake(f.Refresh < 0 || f.MaxStale < 0 || f.UnknownKeyInterval < 0 || f.Timeout < 0, "Fetch has a negative time")
	mistake(f.MaxStale > 0 && f.MaxStale < f.withDefaults().Refresh, "Fetch.MaxStale is less than Fetch.Refresh")
	mistake(f.RefusePrivateAddresses && f.HTTPClient != nil, "Fetch.RefusePrivateAddresses does not work with an HTTPClient")
	if f.RSAAlgorithm != "" && (jws.Canonical(f.RSAAlgorithm) == "" || f.RSAAlgorithm[1] != 'S' || f.RSAAlgorithm[0] == 'E') {
		errs = append(errs, fmt.Errorf("jwt: Fetch.RSAAlgorithm %q is not one for RSA keys (hint: RS256, PS256)", f.RSAAlgorithm))
	}
	return errors.Join(errs...)
}

func (f Fetch) withDefaults() Fetch {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&f.Refresh, defaultRefresh)
	set(&f.MaxStale, max(defaultMaxStale, f.Refresh))
	set(&f.UnknownKeyInterval, defaultUnknown)
	set(&f.Timeout, defaultTimeout)
	if f.RSAAlgorithm == "" {
		f.RSAAlgorithm = RS256
	}
	if f.Now == nil {
		f.Now = time.Now
	}
	if f.Logger == nil {
		f.Logger = slog.New(slog.DiscardHandler)
	}
	return f
}

// clients returns the clients for https and for http to the loopback.
func (f Fetch) clients() (secure, loopback *http.Client) {
	if f.HTTPClient != nil {
		c := *f.HTTPClient
		c.CheckRedirect = noRedirect
		c.Jar = nil
		return &c, &c
	}
	allow := func(netip.Addr) bool { return true }
	proxy := http.ProxyFromEnvironment
	if f.RefusePrivateAddresses {
		allow, proxy = public, nil
	}
	return client(allow, proxy), client(netip.Addr.IsLoopback, nil)
}

func client(allow func(netip.Addr) bool, proxy func(*http.Request) (*url.URL, error)) *http.Client {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		// This is the address that is really connected to, so a name that
		// resolves to another one the second time gains nothing.
		ip, err := netip.ParseAddrPort(address)
		if err != nil || !allow(ip.Addr().Unmap()) {
			return errors.New("jwt: connection to a refused address")
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

// checkURL refuses everything but https, and http to the loopback.
func checkURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, errors.New("jwt: not a URL that keys are fetched from (hint: https://host/path)")
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return u, nil
	}
	return nil, errors.New("jwt: keys are fetched by https only (hint: http works for 127.0.0.1, ::1 and localhost)")
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// A getter makes the requests of one source.
type getter struct{ secure, loopback *http.Client }

// get returns the body of a 200 answer and its max-age, negative if unknown.
func (g getter) get(ctx context.Context, raw string) ([]byte, time.Duration, error) {
	u, err := checkURL(raw)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	client := g.secure
	if u.Scheme == "http" {
		client = g.loopback
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("jwt: GET %s: status %d", u.Redacted(), resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes+1))
	if err != nil {
		return nil, 0, err
	}
	if len(body) > maxBodyBytes {
		return nil, 0, fmt.Errorf("jwt: GET %s: answer of more than %d bytes", u.Redacted(), maxBodyBytes)
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
