package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/brief"
)

// A Config says where requests go that a guard has admitted.
type Config struct {
	// Upstream is the URL of the service: scheme, host, and a path that is put
	// in front of that of requests.
	Upstream *url.URL
	// Host is the Host that the service sees; that of the request if empty.
	Host string
	// ForwardToken passes the Authorization and DPoP fields on. A service that
	// has a token can use it elsewhere, as its caller.
	ForwardToken bool
	// Trusted are the proxies in front, whose X-Forwarded fields are added to.
	// Those of others are replaced.
	Trusted []netip.Prefix
	// Certificate is the header field in which these hand on certificates of
	// clients. Those of others are removed (RFC 9440, section 4), and with
	// them what begins with its name; none are if it is empty.
	Certificate string
	// ConnectTimeout bounds how long it may take to connect; 5 s if zero.
	ConnectTimeout time.Duration
	// ResponseTimeout bounds how long the service may take to begin with an
	// answer after it got the request; no bound if zero.
	ResponseTimeout time.Duration
	// TLS is used to connect to an https upstream; nil is the usual.
	TLS *tls.Config
	// Logger is told when the service fails; nil is silent.
	Logger *slog.Logger
}

// A Proxy passes requests on. It is safe for concurrent use.
type Proxy struct {
	config    Config
	transport *http.Transport
	reverse   *httputil.ReverseProxy
}

const (
	defaultConnect = 5 * time.Second
	maxIdlePerHost = 256
	maxAnswerBytes = 256 << 10 // of an answer's header
)

// CheckUpstream returns an error if requests can not go to a URL.
func CheckUpstream(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Opaque != "":
		return errors.New("is no http or https URL (hint: such as http://127.0.0.1:3000)")
	case u.User != nil:
		return errors.New("must not hold credentials")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("must not have a query or a fragment")
	}
	return nil
}

// New returns a Proxy to be put behind a guard, or an error if the upstream is
// none.
func New(c Config) (*Proxy, error) {
	if err := CheckUpstream(c.Upstream); err != nil {
		return nil, fmt.Errorf("proxy: upstream %w", err)
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnect
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{config: c, transport: &http.Transport{
		DialContext:            (&net.Dialer{Timeout: c.ConnectTimeout}).DialContext,
		TLSClientConfig:        c.TLS,
		TLSHandshakeTimeout:    c.ConnectTimeout,
		ResponseHeaderTimeout:  c.ResponseTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           0, // all go to one host
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: maxAnswerBytes,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // what is passed on is not to be changed
	}}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:      p.rewrite,
		Transport:    p.transport,
		ErrorHandler: p.fail,
		ErrorLog:     slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug), // of what was cut off
	}
	return p, nil
}

// Close closes idle connections.
func (p *Proxy) Close() error {
	p.transport.CloseIdleConnections()
	return nil
}

// ServeHTTP passes a request on. An upgraded connection, such as a WebSocket,
// ends when the token expires that it was begun with.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if t := sneck.FromContext(r.Context()); t != nil && !t.Expires.IsZero() && r.Header["Upgrade"] != nil {
		ctx, cancel := context.WithDeadline(r.Context(), t.Expires)
		defer cancel()
		r = r.WithContext(ctx)
	}
	p.reverse.ServeHTTP(w, r)
}

// rewrite makes the request that the service gets. It runs after the fields
// are gone that are for one hop only, so that a client can not have ours
// removed by naming them in Connection.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	pr.SetURL(p.config.Upstream)
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery // as it was sent: nothing was decided by it
	pr.Out.Host = pr.In.Host
	if p.config.Host != "" {
		pr.Out.Host = p.config.Host
	}
	pr.Out.Trailer = nil // some services take trailers for header fields
	strip(pr.Out.Header, Prefix, forwardedPrefix)
	strip(pr.Out.Header, otherMethods...)
	strip(pr.Out.Header, otherPaths...)
	if !p.config.ForwardToken {
		pr.Out.Header.Del("Authorization")
		pr.Out.Header.Del("Dpop")
	}
	if p.config.Certificate != "" && !trusts(p.config.Trusted, pr.In.RemoteAddr) {
		strip(pr.Out.Header, p.config.Certificate)
	}
	p.forwarded(pr)
	setIdentity(pr.Out.Header, sneck.FromContext(pr.In.Context()))
	if !strings.EqualFold(pr.Out.Header.Get("Upgrade"), "websocket") {
		// In another protocol, such as HTTP/2 in clear text, there could be
		// requests that no guard sees.
		pr.Out.Header.Del("Connection")
		pr.Out.Header.Del("Upgrade")
	}
}

const forwardedPrefix = "X-Forwarded-"

// Of fields by which some services take another method or path for the request's
// than was decided about, the names begin so.
var (
	otherMethods = []string{"X-Http-Method", "X-Method-Override"}
	otherPaths   = []string{"X-Original-", "X-Rewrite-"}
)

// senders begin the names of further fields that some services believe about
// the client's address, and of which a proxy in front may set one.
var senders = []string{"X-Real-Ip", "True-Client-Ip", "X-Client-Ip", "Client-Ip"}

// forwarded says where the request came from: what the proxies in front say,
// and who has sent it to us.
func (p *Proxy) forwarded(pr *httputil.ProxyRequest) {
	const sender = forwardedPrefix + "For"
	trusted := trusts(p.config.Trusted, pr.In.RemoteAddr)
	if trusted {
		pr.Out.Header[sender] = pr.In.Header[sender]
	} else {
		strip(pr.Out.Header, senders...)
	}
	pr.SetXForwarded()
	for name, values := range pr.In.Header {
		if trusted && name != sender && strings.HasPrefix(name, forwardedPrefix) {
			pr.Out.Header[name] = values
		}
	}
}

// trusts reports whether the peer is one of the proxies.
func trusts(proxies []netip.Prefix, remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, proxy := range proxies {
		if proxy.Contains(peer.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// fail answers a request that the service did not. It never looks like a
// refusal of the token.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	var tooLong *http.MaxBytesError
	var timeout net.Error
	level := slog.LevelWarn
	out := failure{http.StatusBadGateway, "bad_gateway", "The service can not be reached"}
	switch {
	case recordOf(r.Context()).late(): // first, as it ends the context, too
		out, level = failure{http.StatusRequestTimeout, "request_timeout", "The body of the request did not come in time"}, slog.LevelInfo
	case errors.Is(r.Context().Err(), context.Canceled):
		out, level = failure{statusGone, "client_gone", "The client has left"}, slog.LevelDebug
	case errors.As(err, &tooLong):
		out, level = failure{http.StatusRequestEntityTooLarge, "content_too_large", "The body of the request is too long"}, slog.LevelInfo
	case errors.As(err, &timeout) && timeout.Timeout():
		out = failure{http.StatusGatewayTimeout, "gateway_timeout", "The service did not answer in time"}
	}
	p.config.Logger.LogAttrs(r.Context(), level, "request not answered by the service",
		slog.String("method", brief.Method(r)), slog.Int("status", out.status), slog.String("cause", cause(err)))
	if rec := recordOf(r.Context()); rec != nil {
		rec.failed = out.code
	}
	out.write(w)
}

// cause says what went wrong without the URL, whose query may hold anything.
func cause(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return strings.ToValidUTF8(err.Error(), "?")
}
