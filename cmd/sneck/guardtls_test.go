package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// A tlsFiles is a certificate of this machine and its key, in files.
type tlsFiles struct {
	certificate, key string
	lines            string // of a file with settings
}

func newTLSFiles(t *testing.T) *tlsFiles {
	t.Helper()
	dir := t.TempDir()
	f := &tlsFiles{certificate: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key")}
	f.lines = "tls_certificate_file: " + f.certificate + "\ntls_key_file: " + f.key
	return f
}

// renew puts a new certificate in place, without its key if the old one is to
// stay, and returns those who trust it.
func (f *tlsFiles) renew(t *testing.T, serial int64, withKey bool) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	if withKey {
		require.NoError(t, os.WriteFile(f.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	}
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return pool
}

// tlsClient returns a client that speaks the protocol and shows certificates.
func tlsClient(t *testing.T, trusted *x509.CertPool, http2 bool, shown ...tls.Certificate) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, Certificates: shown}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestGuardTLS(t *testing.T) {
	authority := authtest.NewServer(t)
	files := newTLSFiles(t)
	first := files.renew(t, 1, true)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Seen", r.Header.Get("X-Forwarded-Proto")+" "+r.Header.Get("X-Sneck-Client"))
	}))
	defer upstream.Close()
	g := startGuard(t, guardFile(t, authority, upstream.URL, files.lines), nil)
	assert.Regexp(t, `^https://`, g.url)
	token := authority.Token(t, "read")
	// ask returns by which certificate the guard is known on a new connection.
	ask := func(trusted *x509.CertPool, http2 bool) (int64, error) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/songs", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := tlsClient(t, trusted, http2).Do(r)
		if err != nil {
			return 0, err
		}
		response.Body.Close()
		assert.Equal(t, 200, response.StatusCode)
		assert.Equal(t, map[bool]int{false: 1, true: 2}[http2], response.ProtoMajor)
		assert.Equal(t, "https client", response.Header.Get("Seen"))
		return response.TLS.PeerCertificates[0].SerialNumber.Int64(), nil
	}
	for _, http2 := range []bool{false, true} {
		serial, err := ask(first, http2)
		require.NoError(t, err)
		assert.Equal(t, int64(1), serial)
	}
	_, err := tls.Dial("tcp", g.url[len("https://"):], &tls.Config{RootCAs: first, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.ErrorContains(t, err, "protocol version")

	// Renewal is not one step: while there is half of it, the former stays.
	files.renew(t, 2, false)
	serial, err := ask(first, true)
	require.NoError(t, err)
	assert.Equal(t, int64(1), serial)
	assert.Contains(t, string(g.log.bytes()), "certificate not replaced")
	require.NoError(t, os.Remove(files.key))
	serial, err = ask(first, true)
	require.NoError(t, err)
	assert.Equal(t, int64(1), serial)

	second := files.renew(t, 3, true)
	serial, err = ask(second, true)
	require.NoError(t, err)
	assert.Equal(t, int64(3), serial)
	assert.Contains(t, string(g.log.bytes()), "certificate replaced")
	_, err = ask(first, true)
	require.Error(t, err)
}

// What contradicts TLS, and what it needs.
func TestGuardSaysWhatIsWrongAboutTLS(t *testing.T) {
	const pair = "tls_certificate_file: /nowhere/crt\ntls_key_file: /nowhere/key\n"
	for name, tt := range map[string]struct{ lines, want string }{
		"alone":                {"tls_certificate_file: /nowhere/crt\n", "guard.yaml:5:23: tls_certificate_file: needs tls_key_file"},
		"key alone":            {"tls_key_file: /nowhere/key\n", "guard.yaml:5:15: tls_key_file: needs tls_certificate_file"},
		"both":                 {pair, ""},
		"bound":                {pair + "mtls: strict\n", ""},
		"bound without":        {"mtls: strict\n", "guard.yaml:5:7: mtls: needs tls_certificate_file, or mtls_header (hint: Client-Cert, from a proxy in front)"},
		"bound, and asked":     {pair + "mtls: strict\nmode: forward-auth\nforward_auth_request: path\ntrusted_proxies: [127.0.0.1]\n", "guard.yaml:7:7: mtls: needs mtls_header, as it is a proxy that asks (hint: Client-Cert)"},
		"http for https":       {pair + "dpop: strict\ndpop_external_url: http://api.example\n", "guard.yaml:8:20: dpop_external_url: begins with http://, but clients use TLS (hint: https://)"},
		"http before a proxy":  {pair + "dpop: strict\ndpop_external_url: http://api.example\ntrusted_proxies: [127.0.0.1]\n", ""},
		"https as it ought be": {pair + "dpop: strict\ndpop_external_url: https://api.example\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			config := guardInOrder + "resource_server_auth_token: a\n" + tt.lines
			if strings.Contains(tt.lines, "forward-auth") {
				config = strings.Replace(config, "upstream:", "realm: x #", 1)
			}
			_, err := checkGuard(settings.Sources{File: "guard.yaml", Data: []byte(config)})
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tt.want)
		})
	}
	var stderr strings.Builder
	file := writeFile(t, "guard.yaml", guardInOrder+"resource_server_auth_token: a\n"+pair)
	got := run(t.Context(), []string{"guard", "--config", file}, nil, nil, io.Discard, &stderr)
	assert.Equal(t, exitUsage, got)
	assert.Equal(t, file+":5:23: tls_certificate_file: is not to be had with its key: open /nowhere/crt: no such file or directory\n", stderr.String())
}

// One connection is not enough to keep answers from ending: a client of HTTP/2
// that takes nothing is let go, and the service with it.
func TestGuardLetsGoOfSilentHTTP2(t *testing.T) {
	authority := authtest.NewServer(t)
	files := newTLSFiles(t)
	trusted := files.renew(t, 1, true)
	ended := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}))
	defer upstream.Close()
	routes := writeFile(t, "routes.yaml", "routes:\n  - route: GET /\n    public: true\n")
	g := startGuard(t, guardFile(t, authority, upstream.URL, files.lines, "idle_timeout_seconds: 1", "routes_file: "+routes), nil)
	host := g.url[len("https://"):]
	conn, err := tls.Dial("tcp", host, &tls.Config{RootCAs: trusted, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	defer conn.Close()
	// The preface, SETTINGS with the widest window (RFC 9113, section 6.5),
	// the same for the connection (section 6.9), and GET / in HPACK literals.
	header := "\x82\x87\x84\x01" + string(rune(len(host))) + host
	for _, frame := range []string{
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + "\x00\x04\x7f\xff\xff\xff",
		"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + "\x7f\xff\x00\x00",
		"\x00\x00" + string(rune(len(header))) + "\x01\x05\x00\x00\x00\x01" + header,
	} {
		_, err := conn.Write([]byte(frame))
		require.NoError(t, err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the service still answers")
	}
}
