package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authtest"
)

// signed returns a certificate of app.example, and the authority that signed it.
func signed(t *testing.T) (leaf []byte, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	root, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	require.NoError(t, err)
	ofClient := x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"app.example"}, NotBefore: template.NotBefore, NotAfter: template.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	leaf, err = x509.CreateCertificate(rand.Reader, &ofClient, &template, key.Public(), key)
	require.NoError(t, err)
	return leaf, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}))
}

// askWith sends a form without a client's secret, with a header field, and returns
// the answer.
func (s *serving) askWith(field, value string, form url.Values) (*http.Response, map[string]any) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/token", strings.NewReader(form.Encode()))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set(field, value)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	var answer map[string]any
	require.NoError(s.t, json.NewDecoder(resp.Body).Decode(&answer))
	return resp, answer
}

// A client authenticates by the certificate that a proxy has seen, and its
// tokens are bound to it.
func TestSettingsOfCertificates(t *testing.T) {
	h := newHouse(t)
	require.NoError(t, h.store.PutClient(t.Context(), &authserver.Client{
		ID: "tls", AuthMethod: "tls_client_auth", Certificate: authserver.ClientCertificate{DNS: "app.example"}, CertificateBound: true,
		Grants: []string{authserver.GrantClientCredentials}, Scopes: []string{"read"}, Audience: []string{"https://api.example"},
	}))
	leaf, authority := signed(t)
	stranger, _ := signed(t)
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"tls"}, "scope": {"read"}}
	status := func(s *serving, certificate []byte) int {
		resp, _ := s.askWith("Client-Cert", ":"+base64.StdEncoding.EncodeToString(certificate)+":", form)
		return resp.StatusCode
	}
	assert.Equal(t, 401, status(h.serve(t, nil, "--trusted-proxy=127.0.0.1"), leaf))

	s := h.serve(t, map[string]string{"SNECK_MTLS_HEADER": "Client-Cert"}, "--trusted-proxy=127.0.0.1",
		"--mtls-roots-file="+writeFile(t, "roots.pem", authority), "--mtls-url=https://mtls.auth.example.com")
	assert.Equal(t, 401, status(s, stranger))
	assert.Equal(t, 200, status(s, leaf))
	_, answer := s.askWith("Client-Cert", ":"+base64.StdEncoding.EncodeToString(leaf)+":", form)
	_, verdict := s.post("/introspect", "api", "token="+answer["access_token"].(string))
	sum := sha256.Sum256(leaf)
	assert.Equal(t, map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}, verdict["cnf"])
	aliases := s.metadata("mtls_endpoint_aliases").(map[string]any)
	assert.Equal(t, "https://mtls.auth.example.com/token", aliases["token_endpoint"])
}

// With a key for nonces a proof must hold one, which is good at all servers with
// this key.
func TestSettingsOfNonces(t *testing.T) {
	h := newHouse(t)
	key := authtest.NewDPoPKey(t)
	request := func(s *serving, nonce string) (*http.Response, map[string]any) {
		claims := map[string]any{}
		if nonce != "" {
			claims["nonce"] = nonce
		}
		return s.askWith("DPoP", key.Proof("POST", s.url+"/token", "", claims),
			url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {fixedSecret}, "scope": {"read"}})
	}
	resp, answer := request(h.serve(t, nil), "")
	assert.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, "DPoP", answer["token_type"])

	flag := "--dpop-nonce-key-file=" + writeFile(t, "nonce.key", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))+"\n")
	first, second := h.serve(t, nil, flag), h.serve(t, nil, flag)
	resp, answer = request(first, "")
	assert.Equal(t, 400, resp.StatusCode)
	assert.Equal(t, "use_dpop_nonce", answer["error"])
	resp, answer = request(second, resp.Header.Get("DPoP-Nonce"))
	assert.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, "DPoP", answer["token_type"])
}

// What clients sign must be for the issuer, and their keys be had from public
// addresses, unless somebody says otherwise.
func TestSettingsOfAssertions(t *testing.T) {
	h := newHouse(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	require.NoError(t, err)
	var asked atomic.Int64
	private := httptest.NewUnstartedServer(http.NotFoundHandler())
	private.Config.ErrorLog = log.New(io.Discard, "", 0) // our certificate is not trusted
	private.Config.ConnState = func(net.Conn, http.ConnState) { asked.Add(1) }
	private.StartTLS()
	t.Cleanup(private.Close)
	for _, c := range []authserver.Client{{ID: "here", JWKS: set}, {ID: "there", JWKSURI: private.URL}} {
		c.AuthMethod, c.Grants, c.Scopes, c.Audience = "private_key_jwt", []string{authserver.GrantClientCredentials}, []string{"read"}, []string{"https://api.example"}
		require.NoError(t, h.store.PutClient(t.Context(), &c))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "one"))
	require.NoError(t, err)
	status := func(s *serving, client, audience string) int {
		claims, err := json.Marshal(map[string]any{
			"iss": client, "sub": client, "aud": audience, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix(),
		})
		require.NoError(t, err)
		signed, err := signer.Sign(claims)
		require.NoError(t, err)
		assertion, err := signed.CompactSerialize()
		require.NoError(t, err)
		resp, _ := s.askWith("Accept", "application/json", url.Values{
			"grant_type": {"client_credentials"}, "scope": {"read"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		})
		return resp.StatusCode
	}
	usual := h.serve(t, nil)
	assert.Equal(t, 200, status(usual, "here", usual.url))
	assert.Equal(t, 401, status(usual, "here", usual.url+"/token"))
	assert.NotEqual(t, 200, status(usual, "there", usual.url))
	assert.Zero(t, asked.Load())

	s := h.serve(t, map[string]string{"SNECK_INSECURE_PRIVATE_KEY_SETS": "true"}, "--insecure-endpoint-audience")
	assert.Equal(t, 200, status(s, "here", s.url))
	assert.Equal(t, 200, status(s, "here", s.url+"/token"))
	assert.NotEqual(t, 200, status(s, "there", s.url))
	assert.NotZero(t, asked.Load())
}

// Passwords get a pepper when they are set and when they are used, whoever does
// it; without the pepper nobody gets in.
func TestSettingsOfPeppers(t *testing.T) {
	h := newHouse(t)
	file := writeFile(t, "peppers", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("p"), 16))+"\n")
	withPeppers := writeFile(t, "sneck.yaml", "password_peppers_file: "+file+"\ngrants: [client_credentials, authorization_code, legacy_password]\n")
	const otherWord = "another horse, another battery"
	command := func(args ...string) {
		t.Helper()
		var out, stderr bytes.Buffer
		args = append([]string{"user"}, append(args, "--data", h.dir, "--password-stdin", "--config", withPeppers)...)
		require.Equal(t, exitOK, run(t.Context(), args, nil, strings.NewReader(otherWord+"\n"), &out, &stderr), stderr.String())
	}
	signIn := func(s *serving, username, password string) int {
		status, _ := s.post("/token", "old", url.Values{"grant_type": {"password"}, "username": {username}, "password": {password}, "scope": {"read"}}.Encode())
		return status
	}
	command("create", "bob")
	command("create", "carol")
	command("passwd", "carol")
	peppered, plain := h.serve(t, nil, "--config", withPeppers), h.serve(t, nil, "--grants=client_credentials,authorization_code,legacy_password")
	for _, name := range []string{"bob", "carol"} {
		assert.Equal(t, 200, signIn(peppered, name, otherWord), name)
		assert.Equal(t, 400, signIn(peppered, name, goodWord), name)
		assert.Equal(t, 503, signIn(plain, name, otherWord), name)
	}
	assert.Equal(t, 200, signIn(plain, "alice", goodWord))
	page, _ := peppered.ask(challenge()) // in which alice signs in
	assert.Regexp(t, asField, page)
	assert.Equal(t, 503, signIn(plain, "alice", goodWord), "the page has hashed the password anew")
	assert.Equal(t, 200, signIn(peppered, "alice", goodWord))
}

// How often a password can be tried can be said.
func TestSettingsOfSignIn(t *testing.T) {
	h := newHouse(t)
	tries := func(s *serving) (status []int) {
		p := newPerson(t)
		p.get(s.url + "/account")
		for range 3 {
			resp, _ := p.post(url.Values{"action": {"sign-in"}, "username": {"alice"}, "password": {"wrong password"}})
			status = append(status, resp.StatusCode)
		}
		return status
	}
	wrong := tries(h.serve(t, nil))
	assert.Equal(t, []int{wrong[0], wrong[0], wrong[0]}, wrong)
	for _, name := range []string{"account", "address"} {
		s := h.serve(t, nil, "--limits-sign-in-"+name+"=2/15m")
		assert.Equal(t, []int{wrong[0], wrong[0], 429}, tries(s), name)
	}
}

// What is wrong with these settings is said with its place, and in the words of
// the file.
func TestMistakesOfBindings(t *testing.T) {
	short, two, none := writeFile(t, "short", "c2hvcnQ=\n"), writeFile(t, "two", "c2hvcnQ=\nc2hvcnR5\n"), writeFile(t, "none", "-\n")
	for config, want := range map[string]string{
		"mtls_header: Client-Cert": "9:14: mtls_header: has no effect without proxies that are trusted (hint: trusted_proxies)",
		"mtls_roots_file: x":       "9:18: mtls_roots_file: has no effect without the field that has the certificate (hint: mtls_header: Client-Cert)",
		"mtls_url: https://x":      "9:11: mtls_url: has no effect without the field that has the certificate (hint: mtls_header: Client-Cert)",
		"mtls_header: A\ntrusted_proxies: [10.0.0.1]\nmtls_url: http://x.example": `11:11: mtls_url: "http://x.example" is not https (hint: http is for loopback hosts only)`,
		"mtls_header: A\ntrusted_proxies: [10.0.0.1]\nmtls_roots_file: " + none:   "11:18: mtls_roots_file: there is no certificate in " + none + " (hint: PEM, -----BEGIN CERTIFICATE-----)",
		"dpop_nonce_key_file: " + short:                                           "9:22: dpop_nonce_key_file: has 5 bytes, fewer than 32",
		"dpop_nonce_key_file: " + two:                                             "9:22: dpop_nonce_key_file: has 2 keys in it, but one is used (hint: nonces of another are replaced by themselves)",
		"password_peppers_file: " + short:                                         "9:24: password_peppers_file: a key has fewer than 16 bytes (hint: openssl rand -hex 32)",
		"limits: {sign_in: {address: 5/d}}":                                       "9:29: limits.sign_in.address: is no rate (hint: 100/s, 10/m burst 60, or insecure-unlimited)",
		"dpop_nonce_key_file: /elsewhere\npassword_peppers_file: /elsewhere\nmtls_header: A\ntrusted_proxies: [10.0.0.1]\nmtls_roots_file: /elsewhere": "",
	} {
		file := writeFile(t, "sneck.yaml", "data: nowhere\n\n\n\n\n\n\n\n"+config+"\n")
		_, out, stderr := inProcess(t, "check", file)
		assert.Empty(t, stderr)
		if want == "" {
			want = " is right (server)"
		} else {
			want = ":" + want
		}
		assert.Equal(t, file+want+"\n", out)
	}
}
