package proxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cmd/internal/proxy"
)

// seen is what a service has got.
type seen struct {
	Method, Target, Host string
	Header               http.Header
	Trailer              http.Header
}

// service tells in its answer what it has got.
func service(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // and with it the trailer
	w.Header().Set("Body-Length", fmt.Sprint(len(body)))
	_ = json.NewEncoder(w).Encode(seen{r.Method, r.RequestURI, r.Host, r.Header, r.Trailer})
}

// behind starts a proxy in front of a service, as a guard would that has
// admitted every request with the token.
func behind(t *testing.T, h http.Handler, token *sneck.Token, change func(*proxy.Config)) string {
	upstream := httptest.NewServer(h)
	t.Cleanup(upstream.Close)
	u, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	c := proxy.Config{Upstream: u}
	if change != nil {
		change(&c)
	}
	p, err := proxy.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	admitted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, r.WithContext(sneck.NewContext(r.Context(), token)))
	})
	front := httptest.NewServer(proxy.Watch(admitted, time.Minute, c.Logger))
	t.Cleanup(front.Close)
	return front.URL
}

// raw sends the lines of a request and returns the answer.
func raw(t *testing.T, at string, lines ...string) (*http.Response, *bufio.ReadWriter) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, strings.Join(lines, "\r\n"))
	require.NoError(t, err)
	rw := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
	response, err := http.ReadResponse(rw.Reader, nil)
	require.NoError(t, err)
	t.Cleanup(func() { response.Body.Close() })
	return response, rw
}

func decode(t *testing.T, r *http.Response) (s seen) {
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.NoError(t, json.NewDecoder(r.Body).Decode(&s))
	return s
}

// The service learns who calls from the guard, and from nobody else.
func TestIdentity(t *testing.T) {
	token := &sneck.Token{
		Issuer: "https://as.example", Subject: "alice\r\nX-Sneck-Client: root", ClientID: "app 1", Username: "Zoë 100%",
		Audience: []string{"https://api.example", "two words"}, Scopes: []string{"read", "write"}, ID: "7",
		Expires: time.Unix(4e9, 0), AuthTime: time.Unix(1e9, 0), ACR: "gold",
	}
	spoofed := []string{
		"POST /a%20b/?q=1;x=%zz&access=%41 HTTP/1.1", "Host: api.example", "User-Agent: test", "Authorization: Bearer secret", "Dpop: proof",
		"Proxy-Authorization: Basic secret", "Connection: X-Sneck-Subject, X-Sneck-Scope, Authorization, Upgrade, HTTP2-Settings",
		"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__",
		"X-Sneck-Subject: root", "x_sneck_subject: root", "X-SNECK.Subject: root", "X-Sneck-Admin: yes", "x-sneck_token-id: 1",
		"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: elsewhere", "X-Forwarded-Uri: /public", "X_Forwarded_Proto: https", "Forwarded: for=192.0.2.1",
		"X-Real-IP: 192.0.2.1", "true_client_ip: 192.0.2.1",
		"X-Original-URL: /public", "X-Rewrite-Url: /public", "X-HTTP-Method-Override: DELETE", "X_Http_Method: DELETE", "X-Method-Override: DELETE",
		"X-Sneckers: are shoes", "Transfer-Encoding: chunked", "Trailer: X-Sneck-Subject", "",
		"2", "hi", "0", "X-Sneck-Subject: root", "", "",
	}
	identity := http.Header{
		"X-Sneck-Issuer": {"https://as.example"}, "X-Sneck-Subject": {"alice%0D%0AX-Sneck-Client:%20root"}, "X-Sneck-Client": {"app%201"},
		"X-Sneck-Username": {"Zo%C3%AB%20100%25"}, "X-Sneck-Audience": {"https://api.example two%20words"}, "X-Sneck-Scope": {"read write"},
		"X-Sneck-Token-Id": {"7"}, "X-Sneck-Expires": {"4000000000"}, "X-Sneck-Auth-Time": {"1000000000"}, "X-Sneck-Acr": {"gold"},
	}
	for name, tt := range map[string]struct {
		token  *sneck.Token
		change func(*proxy.Config)
		host   string
		target string
		more   http.Header
	}{
		"a token":           {token: token, more: identity},
		"no token":          {},
		"a token of little": {token: &sneck.Token{Subject: "bob"}, more: http.Header{"X-Sneck-Subject": {"bob"}}},
		"a proxy in front": {
			change: func(c *proxy.Config) { c.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
			more: http.Header{
				"X-Forwarded-For": {"192.0.2.1, 127.0.0.1"}, "X-Forwarded-Host": {"elsewhere"}, "X-Forwarded-Uri": {"/public"},
				"X-Real-Ip": {"192.0.2.1"}, "True_client_ip": {"192.0.2.1"},
			},
		},
		"another host and path": {
			change: func(c *proxy.Config) { c.Host, c.Upstream.Path = "inner.example", "/base" },
			host:   "inner.example", target: "/base/a%20b/?q=1;x=%zz&access=%41",
		},
	} {
		t.Run(name, func(t *testing.T) {
			response, _ := raw(t, behind(t, http.HandlerFunc(service), tt.token, tt.change), spoofed...)
			want := seen{Method: "POST", Target: "/a%20b/?q=1;x=%zz&access=%41", Host: "api.example", Header: http.Header{
				"User-Agent": {"test"}, "X-Sneckers": {"are shoes"},
				"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"api.example"}, "X-Forwarded-Proto": {"http"},
			}}
			if tt.host != "" {
				want.Host, want.Target = tt.host, tt.target
			}
			for key, values := range tt.more {
				want.Header[key] = values
			}
			assert.Equal(t, want, decode(t, response))
			assert.Equal(t, "2", response.Header.Get("Body-Length"))
		})
	}
}

// With forward_token the service gets what the client has sent.
func TestForwardToken(t *testing.T) {
	at := behind(t, http.HandlerFunc(service), &sneck.Token{}, func(c *proxy.Config) { c.ForwardToken = true })
	response, _ := raw(t, at, "GET / HTTP/1.1", "Host: api.example", "Authorization: DPoP secret", "DPoP: proof", "", "")
	assert.Equal(t, http.Header{
		"Authorization": {"DPoP secret"}, "Dpop": {"proof"},
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"api.example"}, "X-Forwarded-Proto": {"http"},
	}, decode(t, response).Header)
}

// A service may go by the certificate that a proxy hands on. A client can not
// make one up.
func TestCertificateOfAClient(t *testing.T) {
	for prefix, want := range map[string]http.Header{
		"192.0.2.0/24": {"X-Client-Certs": {"none"}},
		"127.0.0.0/8":  {"Client-Cert": {":AA==:"}, "Client-Cert-Chain": {":AA==:"}, "Client_cert": {":AA==:"}, "X-Client-Certs": {"none"}},
	} {
		at := behind(t, http.HandlerFunc(service), nil, func(c *proxy.Config) {
			c.Trusted, c.Certificate = []netip.Prefix{netip.MustParsePrefix(prefix)}, "client-cert"
		})
		response, _ := raw(t, at, "GET / HTTP/1.1", "Host: api.example", "Client-Cert: :AA==:", "Client-Cert-Chain: :AA==:",
			"Client_Cert: :AA==:", "X-Client-Certs: none", "", "")
		got := decode(t, response).Header
		for _, name := range []string{"User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Accept-Encoding"} {
			got.Del(name)
		}
		assert.Equal(t, want, got, prefix)
	}
}

// What goes wrong behind the guard never looks like a bad token, and says
// nothing about the query.
func TestUpstreamFails(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tt := range map[string]struct {
		h      http.HandlerFunc
		change func(*proxy.Config)
		status int
		body   string
	}{
		"down": {
			change: func(c *proxy.Config) { c.Upstream, _ = url.Parse(closed.URL) },
			status: http.StatusBadGateway, body: `{"error":"bad_gateway","error_description":"The service can not be reached"}`,
		},
		"silent": {
			h:      func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			change: func(c *proxy.Config) { c.ResponseTimeout = 50 * time.Millisecond },
			status: http.StatusGatewayTimeout, body: `{"error":"gateway_timeout","error_description":"The service did not answer in time"}`,
		},
		"nonsense": {
			h: func(w http.ResponseWriter, _ *http.Request) {
				conn, _, _ := w.(http.Hijacker).Hijack()
				_, _ = io.WriteString(conn, "what?\r\n\r\n")
				conn.Close()
			},
			status: http.StatusBadGateway, body: `{"error":"bad_gateway","error_description":"The service can not be reached"}`,
		},
		"its own 401": {
			h:      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "mine", http.StatusUnauthorized) },
			status: http.StatusUnauthorized, body: "mine",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var logged strings.Builder
			at := behind(t, tt.h, nil, func(c *proxy.Config) {
				c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
				if tt.change != nil {
					tt.change(c)
				}
			})
			response, err := http.Get(at + "/path?secret")
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, tt.status, response.StatusCode)
			assert.Equal(t, tt.body+"\n", string(body))
			assert.Empty(t, response.Header["Www-Authenticate"])
			http.DefaultClient.CloseIdleConnections()
			assert.NotContains(t, logged.String(), "secret")
		})
	}
}

// An answer arrives while it is being written.
func TestStreaming(t *testing.T) {
	goOn := make(chan struct{})
	at := behind(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-goOn
		_, _ = io.WriteString(w, "data: 2\n\n")
	}), nil, nil)
	response, err := http.Get(at)
	require.NoError(t, err)
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "data: 1\n", first)
	close(goOn)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	assert.Equal(t, "\ndata: 2\n\n", string(rest))
}

// echo is a service that takes WebSockets as far as this matters here: it
// sends back what comes after the upgrade.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSubject: %s\r\n\r\n", r.Header.Get("X-Sneck-Subject"))
	rw.Flush()
	_, _ = io.Copy(conn, rw)
}

// A WebSocket goes through in both directions, and ends with its token.
func TestWebSocket(t *testing.T) {
	token := &sneck.Token{Subject: "alice", Expires: time.Now().Add(300 * time.Millisecond)}
	at := behind(t, http.HandlerFunc(echo), token, nil)
	response, rw := raw(t, at, "GET / HTTP/1.1", "Host: api.example", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "", "")
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	assert.Equal(t, "alice", response.Header.Get("Subject"))
	_, err := rw.WriteString("hello\n")
	require.NoError(t, err)
	require.NoError(t, rw.Flush())
	line, err := rw.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "hello\n", line)
	_, err = rw.ReadString('\n')
	require.ErrorIs(t, err, io.EOF)
	assert.False(t, time.Now().Before(token.Expires))
}

// A body that does not come is not waited for.
func TestIdleBody(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(service))
	defer upstream.Close()
	u, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	p, err := proxy.New(proxy.Config{Upstream: u})
	require.NoError(t, err)
	front := httptest.NewServer(proxy.Watch(p, 50*time.Millisecond, nil))
	defer front.Close()
	response, _ := raw(t, front.URL, "POST / HTTP/1.1", "Host: api.example", "Content-Length: 10", "", "half")
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusRequestTimeout, response.StatusCode)
	assert.Equal(t, `{"error":"request_timeout","error_description":"The body of the request did not come in time"}`+"\n", string(body))
}

func TestNewRefusesWhatIsNoUpstream(t *testing.T) {
	for raw, want := range map[string]string{
		"/path": "http or https", "ftp://host": "http or https", "http:host": "http or https",
		"http://user:secret@host": "must not hold credentials", "http://host?x": "query", "http://host#x": "fragment",
	} {
		u, err := url.Parse(raw)
		require.NoError(t, err)
		_, err = proxy.New(proxy.Config{Upstream: u})
		require.ErrorContains(t, err, want, raw)
		assert.NotContains(t, err.Error(), "secret")
	}
}

// A client that has left is neither the service's fault nor logged as such.
func TestClientLeaves(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	var logged strings.Builder
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	}))
	defer upstream.Close()
	u, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	logger := slog.New(slog.NewTextHandler(&logged, nil))
	p, err := proxy.New(proxy.Config{Upstream: u, Logger: logger})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	rec := httptest.NewRecorder()
	proxy.Watch(p, time.Minute, logger).ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
	<-left
	assert.Equal(t, 499, rec.Code)
	assert.Contains(t, logged.String(), "failed=client_gone")
	assert.NotContains(t, logged.String(), "level=WARN")
}
