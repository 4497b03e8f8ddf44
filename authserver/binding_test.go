package authserver_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// A certified is a certificate and its key.
type certified struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// certificate makes a certificate that is good for a day around epoch, signed
// by the parent or by itself.
func certificate(t testing.TB, parent *certified, change ...func(*x509.Certificate)) certified {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app", Organization: []string{"Example"}, Country: []string{"DE"}},
		NotBefore: epoch.Add(-12 * time.Hour), NotAfter: epoch.Add(12 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, f := range change {
		f(template)
	}
	p := certified{template, key}
	if parent == nil {
		parent = &p
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.Certificate, key.Public(), parent.key)
	require.NoError(t, err)
	p.Certificate, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return p
}

func authority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	c.Subject = pkix.Name{CommonName: "root"}
}

func pool(certificates ...certified) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certificates {
		p.AddCert(c.Certificate)
	}
	return p
}

// shows has a request come over a connection with the client's certificates.
func shows(r *http.Request, chain ...certified) *http.Request {
	r.TLS = &tls.ConnectionState{}
	for _, c := range chain {
		r.TLS.PeerCertificates = append(r.TLS.PeerCertificates, c.Certificate)
	}
	return r
}

func thumbprint(c certified) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// certificateSet is the key set of a client with certificates of its own.
func certificateSet(t testing.TB, certificates ...certified) json.RawMessage {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, c := range certificates {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: c.key.Public(), Certificates: []*x509.Certificate{c.Certificate}})
	}
	data, err := json.Marshal(set)
	require.NoError(t, err)
	return data
}

// AC-13: by a name that an authority vouches for.
func TestAC13_TLSClientAuth(t *testing.T) {
	root := certificate(t, nil, authority)
	between := certificate(t, &root, authority, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "between"} })
	otherRoot := certificate(t, nil, authority)
	names := func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = []string{"app.example.com"}, []string{"app@example.com"}
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/app"}}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")}
	}
	good := certificate(t, &root, names)
	for _, test := range []struct {
		name  string
		is    authserver.ClientCertificate
		shown []certified
		want  bool
	}{
		{"subject", authserver.ClientCertificate{Subject: "CN=app,O=Example,C=DE"}, []certified{good}, true},
		{"DNS", authserver.ClientCertificate{DNS: "APP.example.com"}, []certified{good}, true},
		{"URI", authserver.ClientCertificate{URI: "spiffe://example.com/app"}, []certified{good}, true},
		{"IPv4", authserver.ClientCertificate{IP: "192.0.2.1"}, []certified{good}, true},
		{"IPv6", authserver.ClientCertificate{IP: "2001:DB8:0::1"}, []certified{good}, true},
		{"email", authserver.ClientCertificate{Email: "app@example.com"}, []certified{good}, true},
		{"intermediate authority", authserver.ClientCertificate{Subject: "CN=app,O=Example,C=DE"}, []certified{certificate(t, &between), between}, true},

		{"intermediate authority is missing", authserver.ClientCertificate{Subject: "CN=app,O=Example,C=DE"}, []certified{certificate(t, &between)}, false},
		{"subject in another order", authserver.ClientCertificate{Subject: "C=DE,O=Example,CN=app"}, []certified{good}, false},
		{"part of the subject", authserver.ClientCertificate{Subject: "CN=app"}, []certified{good}, false},
		{"subject that looks like it", authserver.ClientCertificate{Subject: "CN=app,O=Example,C=DE"}, []certified{certificate(t, &root, func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: "app,O=Example", Country: []string{"DE"}}
		})}, false},
		{"another DNS name", authserver.ClientCertificate{DNS: "example.com"}, []certified{good}, false},
		{"wildcard", authserver.ClientCertificate{DNS: "app.example.com"}, []certified{certificate(t, &root, func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} })}, false},
		{"another URI", authserver.ClientCertificate{URI: "spiffe://example.com/app2"}, []certified{good}, false},
		{"another address", authserver.ClientCertificate{IP: "192.0.2.2"}, []certified{good}, false},
		{"another mail address", authserver.ClientCertificate{Email: "root@example.com"}, []certified{good}, false},
		{"no certificate", authserver.ClientCertificate{DNS: "app.example.com"}, nil, false},
		{"signed by itself", authserver.ClientCertificate{DNS: "app.example.com"}, []certified{certificate(t, nil, names)}, false},
		{"another authority", authserver.ClientCertificate{DNS: "app.example.com"}, []certified{certificate(t, &otherRoot, names)}, false},
		{"brings its authority", authserver.ClientCertificate{DNS: "app.example.com"}, []certified{certificate(t, &otherRoot, names), otherRoot}, false},
		{"expired", authserver.ClientCertificate{DNS: "app.example.com"}, []certified{certificate(t, &root, names, func(c *x509.Certificate) { c.NotAfter = epoch.Add(-time.Second) })}, false},
		{"not yet valid", authserver.ClientCertificate{DNS: "app.example.com"}, []certified{certificate(t, &root, names, func(c *x509.Certificate) { c.NotBefore = epoch.Add(time.Second) })}, false},
		{"for servers", authserver.ClientCertificate{DNS: "app.example.com"}, []certified{certificate(t, &root, names, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(c *authserver.Config) { c.MutualTLS = &authserver.MutualTLS{Roots: pool(root)} })
			w.putClient(t, authserver.Client{AuthMethod: "tls_client_auth", Certificate: test.is})
			r := func() *http.Request {
				return shows(request("/token", credentialsGrant+"&client_id=signer"), test.shown...)
			}
			if test.want {
				assert.Equal(t, issued("read"), send(w, r()))
				return
			}
			description := "the certificate is not that of the client"
			if test.shown == nil {
				description = "the client shows no certificate"
			}
			assert.Equal(t, refusal(401, "invalid_client", description), send(w, r()))
		})
	}
	// What is not configured is an outage for those who need it, and a mistake
	// when they are registered.
	w := newWorld(t, func(c *authserver.Config) { c.MutualTLS = &authserver.MutualTLS{} })
	client := authserver.Client{ID: "signer", AuthMethod: "tls_client_auth", Certificate: authserver.ClientCertificate{DNS: "app.example.com"}}
	w.putClient(t, client)
	assert.Equal(t, 503, send(w, shows(request("/token", credentialsGrant+"&client_id=signer"), good)).status)
	_, _, err := w.NewClient(t.Context(), client, false)
	require.EqualError(t, err, `authserver: client "signer": tls_client_auth needs Config.MutualTLS.Roots`)
	none := newWorld(t)
	none.putClient(t, client)
	assert.Equal(t, refusal(401, "invalid_client", "the client shows no certificate"),
		send(none, shows(request("/token", credentialsGrant+"&client_id=signer"), good)))
}

// AC-13: by a certificate that is in the client's record.
func TestAC13_SelfSignedTLSClientAuth(t *testing.T) {
	mine, also, stranger := certificate(t, nil), certificate(t, nil), certificate(t, nil)
	old := certificate(t, nil, func(c *x509.Certificate) { c.NotAfter = epoch.Add(-time.Hour) })
	r := newRemote(t, serving(certificateSet(t, mine)))
	w := newWorld(t, func(c *authserver.Config) {
		c.MutualTLS, c.Assertions.HTTPClient = &authserver.MutualTLS{}, r.Client()
	})
	w.putClient(t, authserver.Client{AuthMethod: "self_signed_tls_client_auth", JWKS: certificateSet(t, mine, also, old)})
	ask := func(id string, chain ...certified) reply {
		return send(w, shows(request("/token", credentialsGrant+"&client_id="+id), chain...))
	}
	not := refusal(401, "invalid_client", "the certificate is not that of the client")
	assert.Equal(t, issued("read"), ask("signer", mine))
	assert.Equal(t, 200, ask("signer", also).status)
	assert.Equal(t, not, ask("signer", stranger))
	assert.Equal(t, not, ask("signer", stranger, mine), "the first one is the client's")
	assert.Equal(t, not, ask("signer", old))
	assert.Equal(t, refusal(401, "invalid_client", "the client shows no certificate"), ask("signer"))
	// The same key in another certificate is another certificate.
	again, err := x509.CreateCertificate(rand.Reader, mine.Certificate, mine.Certificate, mine.key.Public(), mine.key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(again)
	require.NoError(t, err)
	assert.Equal(t, not, ask("signer", certified{parsed, mine.key}))

	// A certificate is no way in for other clients, nor others' ways for it.
	assert.Equal(t, refusal(401, "invalid_client", "the client does not authenticate"), ask("app", mine))
	q := shows(request("/token", credentialsGrant, basic("signer", secret)...), mine)
	assert.Equal(t, refusal(401, "invalid_client", "client authentication failed"), send(w, q))
	assert.Equal(t, badAssertion, send(w, shows(request("/token", credentialsGrant+assertionForm(signer{jose.ES256, mine.key, ""}.sign(t, asserted("signer")))), mine)))

	// Also from elsewhere, and renewed.
	w.putClient(t, authserver.Client{ID: "far", AuthMethod: "self_signed_tls_client_auth", JWKSURI: r.URL})
	assert.Equal(t, 200, ask("far", mine).status)
	assert.Equal(t, not, ask("far", also))
	r.set(serving(certificateSet(t, mine, also)))
	w.now = w.now.Add(30 * time.Second)
	assert.Equal(t, 200, ask("far", also).status)
	r.set(http.NotFound)
	w.now = w.now.Add(time.Hour)
	assert.Equal(t, 503, ask("far", also).status)
}

// RD-13: what a proxy hands on is believed from trusted proxies only.
func TestCertificateFromAProxy(t *testing.T) {
	mine := certificate(t, nil)
	w := newWorld(t, func(c *authserver.Config) {
		c.MutualTLS = &authserver.MutualTLS{Header: "Client-Cert"}
		c.Proxies.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	w.putClient(t, authserver.Client{AuthMethod: "self_signed_tls_client_auth", JWKS: certificateSet(t, mine)})
	ask := func(remote string, header ...string) int {
		r := request("/token", credentialsGrant+"&client_id=signer")
		r.RemoteAddr = remote
		for _, value := range header {
			r.Header.Add("Client-Cert", value)
		}
		return send(w, r).status
	}
	rfc9440 := ":" + base64.StdEncoding.EncodeToString(mine.Raw) + ":"
	escaped := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: mine.Raw})))
	const proxy = "192.0.2.7:4711"
	assert.Equal(t, 200, ask(proxy, rfc9440))
	assert.Equal(t, 200, ask(proxy, escaped))
	assert.Equal(t, 200, ask("[::ffff:192.0.2.7]:4711", rfc9440))
	for name, status := range map[string]int{
		"somebody else": ask("198.51.100.1:4711", rfc9440), "twice": ask(proxy, rfc9440, rfc9440), "nothing": ask(proxy),
		"garbage": ask(proxy, "x"), "not base64": ask(proxy, ":!:"), "no certificate": ask(proxy, ":AAAA:"), "no address": ask("", rfc9440), "a Unix socket": ask("@", rfc9440),
	} {
		assert.Equal(t, 401, status, name)
	}
	// The proxy's own certificate is not its client's, whether it hands that on or
	// not, and from wherever it comes.
	headless := newWorld(t, func(c *authserver.Config) {
		c.MutualTLS = &authserver.MutualTLS{}
		c.Proxies.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	headless.putClient(t, authserver.Client{AuthMethod: "self_signed_tls_client_auth", JWKS: certificateSet(t, mine)})
	for _, to := range []*world{w, headless} {
		for remote, status := range map[string]int{proxy: 401, "@": 401, "198.51.100.1:4711": 200} {
			r := shows(request("/token", credentialsGrant+"&client_id=signer"), mine)
			r.RemoteAddr = remote
			assert.Equal(t, status, send(to, r).status, remote)
		}
	}

	m := authserver.NewMemory()
	for _, bad := range []authserver.MutualTLS{
		{Header: "Client-Cert"}, {Endpoints: "http://mtls.example.com"},
	} {
		_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, MutualTLS: &bad})
		assert.ErrorContains(t, err, "authserver: MutualTLS.")
	}
}

// With a real TLS server: authentication, and a token that is bound to the
// certificate, as JWT and as introspected.
func TestCertificateBoundTokens(t *testing.T) {
	mine, other := certificate(t, nil), certificate(t, nil)
	w := newJWTWorld(t, p256(t), func(c *authserver.Config) { c.MutualTLS = &authserver.MutualTLS{} })
	w.putClient(t, authserver.Client{AuthMethod: "self_signed_tls_client_auth", JWKS: certificateSet(t, mine), CertificateBound: true, AccessTokenFormat: authserver.FormatJWT})
	server := httptest.NewUnstartedServer(w)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	ask := func(c *certified) (int, string) {
		client := server.Client()
		transport := client.Transport.(*http.Transport).Clone()
		if c != nil {
			transport.TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{c.Raw}, PrivateKey: c.key}}
		}
		client.Transport = transport
		defer transport.CloseIdleConnections()
		resp, err := client.PostForm(server.URL+"/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"signer"}})
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	status, body := ask(&mine)
	require.Equal(t, 200, status, body)
	var got struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	assert.Equal(t, "Bearer", got.Type)
	_, claims := opened(t, got.Token, keysAt(t, w))
	assert.Equal(t, map[string]any{"x5t#S256": thumbprint(mine)}, claims["cnf"])
	assert.Contains(t, w.post("/introspect", "token="+got.Token, as("api")...).body, `"cnf":{"x5t#S256":"`+thumbprint(mine)+`"}`)
	verified, err := w.Verify(t.Context(), got.Token)
	require.NoError(t, err)
	assert.Equal(t, &sneck.Confirmation{X5TS256: thumbprint(mine)}, verified.Confirmation)
	status, _ = ask(&other)
	assert.Equal(t, 401, status)
	status, _ = ask(nil)
	assert.Equal(t, 401, status)

	// A client with a secret, whose tokens are bound.
	c := authserver.Client{ID: "bound", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, CertificateBound: true}
	w.putClient(t, c)
	assert.Equal(t, refusal(400, "invalid_request", "the tokens of the client are bound to its certificate, and it shows none"),
		w.post("/token", credentialsGrant, as("bound")...))
	assert.Equal(t, 200, send(w, shows(request("/token", credentialsGrant, as("bound")...), mine)).status)
	_, _, err = newWorld(t).NewClient(t.Context(), c, false)
	require.ErrorContains(t, err, "CertificateBound needs Config.MutualTLS")
}

// proof makes a DPoP proof at epoch with go-jose.
func proof(t testing.TB, s signer, change ...any) string {
	t.Helper()
	claims := map[string]any{"jti": fmt.Sprintf("p-%d", jtis.Add(1)), "htm": "POST", "htu": issuer + "/token", "iat": epoch.Unix()}
	for i := 0; i < len(change); i += 2 {
		claims[change[i].(string)] = change[i+1]
	}
	s.kid = ""
	public := s.public()
	public.KeyID, public.Use = "", ""
	return s.sign(t, claims, "typ", "dpop+jwt", "jwk", public)
}

func jkt(t testing.TB, s signer) string {
	t.Helper()
	public := s.public()
	sum, err := public.Thumbprint(crypto.SHA256)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(sum)
}

// AP-16: proofs at the token endpoint.
func TestAP16_DPoP(t *testing.T) {
	k := newSigner(t, jose.ES256, "")
	now := epoch.Unix()
	bad := refusal(400, "invalid_dpop_proof", "the DPoP proof is not valid here")
	bound := jsonReply(200, `{"access_token":"token-1","token_type":"DPoP","expires_in":3600,"scope":"read"}`)
	for _, test := range []struct {
		name   string
		proofs []string
		want   reply
	}{
		{"none", nil, issued("read")},
		{"good", []string{proof(t, k)}, bound},
		{"good, with query", []string{proof(t, k, "htu", issuer+"/token?x#y")}, bound},
		{"good, in another spelling", []string{proof(t, k, "htu", "HTTPS://AUTH.example.com:443/%74oken")}, bound},
		{"a minute old", []string{proof(t, k, "iat", now-60)}, bound},
		{"two", []string{proof(t, k), proof(t, k)}, bad},
		{"garbage", []string{"x"}, bad},
		{"empty", []string{""}, bad},
		{"another method", []string{proof(t, k, "htm", "GET")}, bad},
		{"another URL", []string{proof(t, k, "htu", "https://evil.example.com/token")}, bad},
		{"another endpoint", []string{proof(t, k, "htu", issuer+"/introspect")}, bad},
		{"old", []string{proof(t, k, "iat", now-61)}, bad},
		{"from the future", []string{proof(t, k, "iat", now+61)}, bad},
		{"signed by another", []string{strings.Join(append(strings.Split(proof(t, k), ".")[:2], strings.Split(proof(t, newSigner(t, jose.ES256, "")), ".")[2]), ".")}, bad},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			header := as("app")
			for _, p := range test.proofs {
				header = append(header, "DPoP", p)
			}
			require.Equal(t, test.want, w.post("/token", credentialsGrant, header...))
			if test.want.status == 200 && test.proofs != nil {
				assert.Equal(t, bad, w.post("/token", credentialsGrant, header...), "used before")
				got, err := w.Verify(t.Context(), "token-1")
				require.NoError(t, err)
				assert.Equal(t, "DPoP", got.Type)
				assert.Equal(t, &sneck.Confirmation{JKT: jkt(t, k)}, got.Confirmation)
				assert.Contains(t, w.post("/introspect", "token=token-1", as("api")...).body, `"token_type":"DPoP"`)
				assert.Contains(t, w.post("/introspect", "token=token-1", as("api")...).body, `"cnf":{"jkt":"`+jkt(t, k)+`"}`)
			}
		})
	}
}

// AP-19, and a proof once under concurrency.
func TestAP19_DPoPBound(t *testing.T) {
	k := newSigner(t, jose.EdDSA, "")
	w := newWorld(t, func(c *authserver.Config) { c.AccessToken, c.RecognizeToken = nil, nil })
	w.putClient(t, authserver.Client{ID: "bound", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, DPoPBound: true})
	assert.Equal(t, refusal(400, "invalid_dpop_proof", "the tokens of the client are bound to a key: send a DPoP proof"),
		w.post("/token", credentialsGrant, as("bound")...))
	p := proof(t, k)
	var ok atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if w.post("/token", credentialsGrant, append(as("bound"), "DPoP", p)...).status == 200 {
				ok.Add(1)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, int64(1), ok.Load())
}

// AP-17, AP-18: codes and the refresh tokens of public clients are for the key
// that they were bound to.
func TestAP17_AP18_DPoPBindsCodesAndRefreshTokens(t *testing.T) {
	k, thief := newSigner(t, jose.ES256, ""), newSigner(t, jose.ES256, "")
	w := newCodeWorld(t)
	dpop := func(s signer) []string { return []string{"DPoP", proof(t, s)} }

	code := w.code(t, "spa", "dpop_jkt", jkt(t, k))
	form := exchange(code) + "&client_id=spa"
	invalid := refusal(400, "invalid_grant", "what was presented is not valid, not for this client, or was used before")
	assert.Equal(t, invalid, w.post("/token", form))
	assert.Equal(t, invalid, w.post("/token", form, dpop(thief)...))
	got := w.post("/token", form, dpop(k)...)
	require.Equal(t, 200, got.status, got.body)
	var a struct {
		Type    string `json:"token_type"`
		Refresh string `json:"refresh_token"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &a))
	assert.Equal(t, "DPoP", a.Type)
	require.NotEmpty(t, a.Refresh)

	refresh := func(token string, header ...string) reply {
		return w.post("/token", "grant_type=refresh_token&client_id=spa&refresh_token="+token, header...)
	}
	assert.Equal(t, invalid, refresh(a.Refresh))
	assert.Equal(t, invalid, refresh(a.Refresh, dpop(thief)...))
	got = refresh(a.Refresh, dpop(k)...)
	require.Equal(t, 200, got.status, "neither the thief nor a mistake has ended it")
	first := a.Refresh
	require.NoError(t, json.Unmarshal([]byte(got.body), &a))
	assert.Equal(t, "DPoP", a.Type)
	assert.Equal(t, invalid, refresh(a.Refresh), "the successor is bound as well")
	assert.Equal(t, invalid, refresh(first, dpop(thief)...), "who has an old one and not the key does no harm")
	require.Equal(t, 200, refresh(a.Refresh, dpop(k)...).status)
}

// A proofCounter counts the proofs that are written down.
type proofCounter struct {
	authserver.Store
	proofs int
}

func (p *proofCounter) Create(ctx context.Context, records ...authserver.Record) error {
	err := p.Store.Create(ctx, records...)
	if err == nil && records[0].Kind == "dpop" {
		p.proofs++
	}
	return err
}

// Anybody can make proofs for a public client, and fills no store with them.
// One that was used is good for nothing more: who repeats a request that they
// have seen gets nothing, and ends nothing.
func TestDPoPOfPublicClients(t *testing.T) {
	k := newSigner(t, jose.ES256, "")
	var store proofCounter
	w := newCodeWorld(t, func(c *authserver.Config) {
		store.Store = c.Store
		c.Store, c.RefreshGrace = &store, time.Minute
	})
	form := exchange(w.code(t, "spa")) + "&client_id=spa"
	for _, nothing := range []string{
		exchange("x") + "&client_id=spa", form + "&resource=x", "grant_type=refresh_token&refresh_token=x&client_id=spa", "grant_type=refresh_token&client_id=spa",
	} {
		assert.Equal(t, 400, w.post("/token", nothing, "DPoP", proof(t, k)).status)
	}
	assert.Zero(t, store.proofs)

	used := []string{"DPoP", proof(t, k)}
	first := w.pair(t, form, used...)
	assert.Equal(t, 1, store.proofs)
	refresh := func(p pair) string { return "grant_type=refresh_token&client_id=spa&refresh_token=" + p.Refresh }
	again := []string{"DPoP", proof(t, k)}
	second := w.pair(t, refresh(first), again...)
	w.now = w.now.Add(time.Minute)
	bad := refusal(400, "invalid_dpop_proof", "the DPoP proof is not valid here")
	assert.Equal(t, bad, w.post("/token", form, used...))
	assert.Equal(t, bad, w.post("/token", refresh(first), again...))
	assert.Equal(t, bad, w.post("/token", refresh(second), again...))
	// Whoever deletes what has expired may have a clock that is ahead.
	_, err := w.memory.DeleteExpired(t.Context(), epoch.Add(90*time.Second-1), 100)
	require.NoError(t, err)
	assert.Equal(t, bad, w.post("/token", refresh(second), again...))
	assert.Equal(t, 2, store.proofs)
	w.pair(t, refresh(second), "DPoP", proof(t, k))
	// Nor does it make a proof good again to revoke all that the client has.
	_, err = w.memory.Revoke(t.Context(), authserver.Selector{Client: "spa"})
	require.NoError(t, err)
	form = exchange(w.code(t, "spa")) + "&client_id=spa"
	assert.Equal(t, bad, w.post("/token", form, used...))
	w.pair(t, form, "DPoP", proof(t, k))
}

// AP-08: each way to authenticate and each algorithm that the metadata names
// works at each endpoint.
func TestAP08_EveryWayToAuthenticate(t *testing.T) {
	root := certificate(t, nil, authority)
	mine := certificate(t, &root)
	w := newJWTWorld(t, p256(t), func(c *authserver.Config) {
		c.Sealer = sealer(t, 1)
		c.MutualTLS = &authserver.MutualTLS{Roots: pool(root), Endpoints: "https://mtls.example.com"}
	})
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(get(w, issuer+"/.well-known/oauth-authorization-server").body), &m))
	assert.Equal(t, true, m["tls_client_certificate_bound_access_tokens"])
	assert.Equal(t, map[string]any{
		"token_endpoint": "https://mtls.example.com/token", "introspection_endpoint": "https://mtls.example.com/introspect",
		"revocation_endpoint": "https://mtls.example.com/revoke",
	}, m["mtls_endpoint_aliases"])

	plain := authserver.Client{ID: "signer", Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read"}, Audience: []string{api}, Introspect: true}
	put := func(c authserver.Client, secret bool) string {
		complete, plain, err := w.NewClient(t.Context(), c, secret)
		require.NoError(t, err)
		require.NoError(t, w.memory.PutClient(t.Context(), complete))
		return plain
	}
	tried, keys := 0, map[string]signer{}
	keyFor := func(alg string) signer {
		if keys[alg].key == nil {
			keys[alg] = newSigner(t, jose.SignatureAlgorithm(alg), "k")
		}
		return keys[alg]
	}
	for _, endpoint := range []string{"token", "introspection", "revocation"} {
		path := strings.TrimPrefix(m[endpoint+"_endpoint"].(string), issuer)
		try := func(what, form string, chain []certified, header ...string) {
			tried++
			got := send(w, shows(request(path, credentialsGrant+"&token=x"+form, header...), chain...))
			assert.Equal(t, 200, got.status, "%s at %s: %s", what, path, got.body)
		}
		for _, method := range m[endpoint+"_endpoint_auth_methods_supported"].([]any) {
			c := plain
			c.AuthMethod = method.(string)
			switch c.AuthMethod {
			case "client_secret_basic":
				try(c.AuthMethod, "", nil, basic("signer", put(c, true))...)
			case "client_secret_post":
				try(c.AuthMethod, "&client_id=signer&client_secret="+put(c, true), nil)
			case "tls_client_auth":
				c.Certificate.Subject = "CN=app,O=Example,C=DE"
				put(c, false)
				try(c.AuthMethod, "&client_id=signer", []certified{mine})
			case "self_signed_tls_client_auth":
				c.JWKS = certificateSet(t, mine)
				put(c, false)
				try(c.AuthMethod, "&client_id=signer", []certified{mine})
			case "private_key_jwt", "client_secret_jwt":
				for _, alg := range m[endpoint+"_endpoint_auth_signing_alg_values_supported"].([]any) {
					c := c
					var k signer
					switch hmac := alg == "HS256"; {
					case hmac != (c.AuthMethod == "client_secret_jwt"):
						continue
					case hmac:
						k = signer{jose.HS256, []byte(put(c, true)), ""}
					default:
						k = keyFor(alg.(string))
						c.JWKS = keySet(t, k)
						put(c, false)
					}
					try(c.AuthMethod+" "+alg.(string), assertionForm(k.sign(t, asserted("signer"))), nil)
				}
			case "Bearer":
				try("Bearer", "", nil, "Authorization", "Bearer "+w.introspectionToken(t))
			case "none": // public clients have codes and refresh tokens only
			default:
				t.Errorf("%s is not tried", method)
			}
		}
	}
	assert.Equal(t, 3*11+1, tried)
	for _, alg := range m["dpop_signing_alg_values_supported"].([]any) {
		p := proof(t, keyFor(alg.(string)))
		assert.Equal(t, 200, w.post("/token", credentialsGrant, append(as("app"), "DPoP", p)...).status, alg)
	}
	p := proof(t, newSigner(t, jose.ES256, ""), "htu", "https://mtls.example.com/token")
	assert.Equal(t, 200, w.post("/token", credentialsGrant, append(as("app"), "DPoP", p)...).status)
}

// A token that is bound to a key does not introspect for who only has the
// token.
func TestBoundTokensDoNotIntrospectByThemselves(t *testing.T) {
	mine, k := certificate(t, nil), newSigner(t, jose.ES256, "")
	w := newWorld(t, func(c *authserver.Config) { c.MutualTLS = &authserver.MutualTLS{} })
	client, err := w.memory.Client(t.Context(), "api")
	require.NoError(t, err)
	c := *client
	c.ID, c.Audience, c.Scopes = "bound", []string{issuer}, scopes.Set{authserver.IntrospectionScope}
	c.Grants, c.CertificateBound = []string{authserver.GrantClientCredentials}, true
	require.NoError(t, w.memory.PutClient(t.Context(), &c))
	token := func(header ...string) string {
		r := request("/token", credentialsGrant+"&scope="+authserver.IntrospectionScope, append(as("bound"), header...)...)
		got := send(w, shows(r, mine))
		require.Equal(t, 200, got.status, got.body)
		var a struct {
			Token string `json:"access_token"`
		}
		require.NoError(t, json.Unmarshal([]byte(got.body), &a))
		return a.Token
	}
	ask := func(token string, chain ...certified) reply {
		return send(w, shows(request("/introspect", "token=x", "Authorization", "Bearer "+token), chain...))
	}
	refused := jsonReply(401, `{"error":"invalid_token","error_description":"the token is bound to a key: authenticate in another way"}`,
		"WWW-Authenticate", `Bearer error="invalid_token"`)
	byCertificate := token()
	assert.Equal(t, refused, ask(byCertificate))
	assert.Equal(t, refused, ask(byCertificate, certificate(t, nil)))
	assert.Equal(t, jsonReply(200, `{"active":false}`), ask(byCertificate, mine))
	assert.Equal(t, refused, ask(token("DPoP", proof(t, k)), mine))
}
