package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/cmd/internal/proxy"
)

// A guardService is a guard in front of a service, ready to serve.
type guardService struct {
	handler http.Handler
	routes  *yaml.File    // nil if there is none to follow
	tls     *tls.Config   // nil is without
	idle    time.Duration // how long a client may take nothing
	metrics *guardMetrics // nil if nobody is told
	ending  atomic.Bool
}

// service returns the guard in front of the upstream, or nil after a mistake.
// The error has those in the file with routes.
func (b *guardBuilder) service() (*guardService, error) {
	proxies := b.trusted()
	b.addresses()
	encrypted := b.serverTLS()
	if b.Mode == "forward-auth" {
		b.useless("if mode is forward-auth", map[string]bool{"upstream": b.Upstream != "", "upstream_host": b.UpstreamHost != ""})
		if b.Convention == "" {
			b.wrong("is missing, by which the proxy says what was asked for (hint: x-forwarded for Traefik and Caddy, x-original for nginx, path for Envoy)", "forward_auth_request")
		}
		if len(b.Proxies) == 0 {
			b.wrong("is missing: nobody else is answered (hint: trusted_proxies: [127.0.0.1])", "trusted_proxies")
		}
	} else {
		b.useless("if mode is proxy", map[string]bool{"forward_auth_request": b.Convention != ""})
	}
	if b.MetricsListen != "" {
		b.metrics = newGuardMetrics()
	}
	share := b.share()
	g := b.guard(b.remembering(b.verifier(), share), share, proxies)
	rules, file, err := b.table(g)
	answer := http.Handler(nil)
	if b.Mode == "forward-auth" {
		answer = &proxy.ForwardAuth{
			Guard: g, Rules: rules, Convention: proxy.Convention(b.Convention), Trusted: proxies,
			ForwardToken: b.ForwardToken, Logger: b.logger,
		}
	} else if p := b.proxy(proxies); p != nil && rules != nil {
		answer = rules.Wrap(p)
	}
	if b.flawed || err != nil {
		return nil, err
	}
	s := &guardService{routes: file, tls: encrypted, idle: b.IdleTimeout, metrics: b.metrics}
	var access *slog.Logger
	if b.AccessLog {
		access = b.logger
	}
	if b.Resource != "" {
		answer = proxy.Beside(g.Metadata(), answer)
	}
	s.handler = proxy.Watch(answer, b.IdleTimeout, access)
	return s, err
}

// addresses checks what is listened at, and whom the upstream is to be.
func (b *guardBuilder) addresses() {
	for _, at := range []struct{ key, address string }{{"listen", b.Listen}, {"health_listen", b.HealthListen}, {"metrics_listen", b.MetricsListen}} {
		if _, _, err := net.SplitHostPort(at.address); err != nil && (at.address != "" || at.key == "listen") {
			b.wrong(strconv.Quote(at.address)+" is not an address (hint: host:port, such as 127.0.0.1:8081)", at.key)
		}
	}
	if u, err := url.Parse("http://" + b.UpstreamHost); b.UpstreamHost != "" && (err != nil || u.Host != b.UpstreamHost) {
		b.wrong(strconv.Quote(b.UpstreamHost)+" is no host (hint: such as notes.example.com)", "upstream_host")
	}
}

// proxy returns what passes requests on; nil after a mistake.
func (b *guardBuilder) proxy(proxies []netip.Prefix) *proxy.Proxy {
	if b.Upstream == "" {
		b.wrong("is missing (hint: upstream: http://127.0.0.1:3000)", "upstream")
		return nil
	}
	u := b.upstream()
	if u == nil {
		return nil
	}
	p, err := proxy.New(proxy.Config{
		Upstream: u, Host: b.UpstreamHost, ForwardToken: b.ForwardToken, Trusted: proxies, Certificate: b.MTLSHeader,
		ConnectTimeout: b.ConnectTimeout, ResponseTimeout: b.ResponseTimeout, Logger: b.logger,
	})
	if err != nil {
		b.wrong(err.Error(), "upstream")
		return nil
	}
	b.closing(p.Close)
	return p
}

// serve serves until ctx is done, and then lets requests under way end.
// Upgraded connections are cut off in the end.
func (s *guardService) serve(ctx context.Context, l net.Listener, logger *slog.Logger) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	context.AfterFunc(ctx, func() { s.ending.Store(true) })
	server := newHTTPServer(s.handler, logger)
	server.ReadTimeout = 0 // proxy.Watch bounds what is idle, not what is long
	server.BaseContext = func(net.Listener) context.Context { return requests }
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
		// A connection that takes nothing keeps its answers from ending.
		server.HTTP2 = &http.HTTP2Config{WriteByteTimeout: s.idle}
	}
	return serveUntil(ctx, server, l)
}

// url returns where the guard is at a listener.
func (s *guardService) url(l net.Listener) string {
	if s.tls != nil {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// health answers whether the guard runs, and whether it takes requests. Neither
// depends on the authorization server: without it, what is remembered still
// serves.
func (s *guardService) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.ending.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "ending")
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// beside has h answer at another address until it is closed, and nobody if
// there is none. The key is that of the setting, and what is what it is about.
func beside(ctx context.Context, key, address, what string, h http.Handler, logger *slog.Logger) (io.Closer, error) {
	if address == "" {
		return io.NopCloser(nil), nil
	}
	l, err := listen(ctx, key, address)
	if err != nil {
		return nil, err
	}
	server := newHTTPServer(h, logger)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("no answers any more", "about", what, "cause", err)
		}
	}()
	logger.Info("listening for questions", "about", what, "address", l.Addr().String())
	return server, nil
}
