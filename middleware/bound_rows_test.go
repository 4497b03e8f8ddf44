package middleware_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/dpop/dpoptest"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

const (
	proofText = "The DPoP proof is missing, malformed, or not for this request"
	nonceText = "The DPoP proof must hold the nonce of this answer"
	algs      = `, algs="ES256 EdDSA ES384 ES512 PS256 RS256"`
)

// refusal is a complete answer with the given challenges.
func refusal(status, code, text string, challenges ...string) string {
	return status + "\nCache-Control: no-store\nContent-Type: application/json\nWww-Authenticate: " +
		strings.Join(challenges, "\nWww-Authenticate: ") + "\n\n{\"error\":\"" + code + "\",\"error_description\":\"" + text + "\"}\n"
}

func params(code, text string) string {
	return `, error="` + code + `", error_description="` + text + `"`
}

// The answers of a guard that takes Bearer and DPoP; those of one that takes
// only DPoP have no Bearer challenge.
var (
	bearerOffer = `Bearer realm="api"`
	dpopOffer   = `DPoP realm="api"` + algs

	bareBoth      = "401\nCache-Control: no-store\nWww-Authenticate: " + bearerOffer + "\nWww-Authenticate: " + dpopOffer + "\n\n"
	bareDPoP      = "401\nCache-Control: no-store\nWww-Authenticate: " + dpopOffer + "\n\n"
	invalidBearer = refusal("401", "invalid_token", invalidText, bearerOffer+params("invalid_token", invalidText), dpopOffer)
	invalidDPoP   = refusal("401", "invalid_token", invalidText, dpopOffer+params("invalid_token", invalidText), bearerOffer)
	badProof      = refusal("401", "invalid_dpop_proof", proofText, dpopOffer+params("invalid_dpop_proof", proofText), bearerOffer)
)

func onlyDPoP(answer string) string {
	return strings.Replace(answer, "Www-Authenticate: "+bearerOffer+"\n", "", 1)
}

// tokens is a verifier that knows tokens by name.
type tokens map[string]*sneck.Token

func (m tokens) Verify(_ context.Context, name string) (*sneck.Token, error) {
	if t := m[name]; t != nil {
		return t, nil
	}
	return nil, sneck.ErrInvalid
}

// dpopGroups are the ways to prove to hold a key.
func dpopGroups(t *testing.T) []group {
	key, other := dpoptest.New(t, "ES256"), dpoptest.New(t, "ES256")
	known := tokens{
		"bound":      with(func(t *sneck.Token) { t.Confirmation = &sneck.Confirmation{JKT: ""} }),
		"plain":      token("read"),
		"typed":      with(func(t *sneck.Token) { t.Type = "DPoP" }),
		"expired":    with(func(t *sneck.Token) { t.Expires = now }),
		"other-cnf":  with(func(t *sneck.Token) { t.Confirmation = &sneck.Confirmation{Unknown: true} }),
		"double-cnf": with(func(t *sneck.Token) { t.Confirmation = &sneck.Confirmation{} }),
	}
	known["bound"].Confirmation.JKT = key.Thumbprint(t)
	known["other-cnf"].Confirmation.JKT = key.Thumbprint(t)
	known["double-cnf"].Confirmation = &sneck.Confirmation{JKT: key.Thumbprint(t), X5TS256: "x"}
	known["expired"].Confirmation = known["bound"].Confirmation
	keys := map[string]*dpoptest.Signer{}
	for _, alg := range []string{"ES384", "ES512", "EdDSA", "RS256", "PS256"} {
		keys[alg] = dpoptest.New(t, alg)
		bound := with(func(*sneck.Token) {})
		bound.Confirmation = &sneck.Confirmation{JKT: keys[alg].Thumbprint(t)}
		known[alg] = bound
	}

	jti := 0
	// proof returns a proof for a GET of https://api.example/a with the token
	// "bound", after a change; nil removes a claim.
	proof := func(change map[string]any) string {
		jti++
		c := map[string]any{
			"jti": fmt.Sprint(jti), "htm": "GET", "htu": "https://api.example/a", "iat": now.Unix(), "ath": dpoptest.TokenHash("bound"),
		}
		maps.Copy(c, change)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		return key.Proof(t, nil, c)
	}
	type claims = map[string]any
	send := func(authorization string, proofs ...string) *http.Request {
		r := do("GET", "/a?q=1", authorization)
		r.Host = "evil.example"
		r.Header["Dpop"] = proofs
		return r
	}
	bound := func(change claims) *http.Request { return send("DPoP bound", proof(change)) }
	at := func(path string, htu string) *http.Request {
		return change(bound(claims{"htu": htu}), func(r *http.Request) {
			u, err := url.Parse(path)
			if err != nil {
				t.Fatal(err)
			}
			r.URL = u
		})
	}
	config := func(mode middleware.Mode) func(*middleware.Config) {
		return func(c *middleware.Config) {
			c.Verifier = known
			c.DPoP = middleware.DPoP{Mode: mode, External: "HTTPS://API.example:443/"}
		}
	}
	const (
		binding = middleware.ReasonBinding
		noProof = middleware.ReasonProof
	)
	twice := proof(nil)
	broken := strings.Split(proof(nil), ".")
	payload := strings.Split(proof(claims{"htm": "GET"}), ".")
	forged := broken[0] + "." + payload[1] + "." + broken[2]
	withAlg := func(alg string) *http.Request {
		return send("DPoP "+alg, keys[alg].Proof(t, nil, claims{
			"jti": "x", "htm": "GET", "htu": "https://api.example/a", "iat": now.Unix(), "ath": dpoptest.TokenHash(alg),
		}))
	}

	optional := []row{
		{"good", bound(nil), admitted, ok},
		{"lower case scheme", send("dpop bound", proof(nil)), admitted, ok},
		{"head", change(bound(claims{"htm": "HEAD"}), method("HEAD")), admittedHead, ok},
		{"ES384", withAlg("ES384"), admitted, ok},
		{"ES512", withAlg("ES512"), admitted, ok},
		{"EdDSA", withAlg("EdDSA"), admitted, ok},
		{"RS256", withAlg("RS256"), admitted, ok},
		{"PS256", withAlg("PS256"), admitted, ok},
		{"plain bearer", send("Bearer plain"), admitted, ok},
		{"plain bearer with a proof", send("Bearer plain", proof(nil)), admitted, ok},
		{"nothing", send("Basic YTpi"), bareBoth, noToken},

		{"first use", send("DPoP bound", twice), admitted, ok},
		{"second use", send("DPoP bound", twice), badProof, middleware.ReasonReplay},

		{"bound token as bearer", send("Bearer bound", proof(nil)), invalidBearer, binding},
		{"DPoP-typed token as bearer", send("Bearer typed"), invalidBearer, binding},
		{"plain token as DPoP", send("DPoP plain", proof(claims{"ath": dpoptest.TokenHash("plain")})), invalidDPoP, binding},
		{"further cnf", send("DPoP other-cnf", proof(claims{"ath": dpoptest.TokenHash("other-cnf")})), invalidDPoP, binding},
		{"certificate besides", send("DPoP double-cnf", proof(claims{"ath": dpoptest.TokenHash("double-cnf")})), invalidDPoP, binding},
		{"another key", send("DPoP bound", other.Proof(t, nil, claims{
			"jti": "y", "htm": "GET", "htu": "https://api.example/a", "iat": now.Unix(), "ath": dpoptest.TokenHash("bound"),
		})), invalidDPoP, binding},
		{"unknown token", send("DPoP unknown", proof(claims{"ath": dpoptest.TokenHash("unknown")})), invalidDPoP, refused},
		{"expired token", send("DPoP expired", proof(claims{"ath": dpoptest.TokenHash("expired")})), invalidDPoP, middleware.ReasonExpired},

		{"no proof", send("DPoP bound"), badProof, noProof},
		{"empty proof", send("DPoP bound", ""), badProof, noProof},
		{"two proofs", send("DPoP bound", proof(nil), proof(nil)), badProof, noProof},
		{"joined proofs", send("DPoP bound", proof(nil)+", "+proof(nil)), badProof, noProof},
		{"not a proof", send("DPoP bound", "a.b.c"), badProof, noProof},
		{"forged", send("DPoP bound", forged), badProof, noProof},
		{"other method", bound(claims{"htm": "POST"}), badProof, noProof},
		{"method in lower case", bound(claims{"htm": "get"}), badProof, noProof},
		{"other path", bound(claims{"htu": "https://api.example/b"}), badProof, noProof},
		{"trailing slash", bound(claims{"htu": "https://api.example/a/"}), badProof, noProof},
		{"path in another case", bound(claims{"htu": "https://api.example/A"}), badProof, noProof},
		{"host of the Host header", bound(claims{"htu": "https://evil.example/a"}), badProof, noProof},
		{"http", bound(claims{"htu": "http://api.example/a"}), badProof, noProof},
		{"other port", bound(claims{"htu": "https://api.example:8443/a"}), badProof, noProof},
		{"query and fragment", bound(claims{"htu": "https://api.example/a?other=2#x"}), admitted, ok},
		{"default port, host in capitals", bound(claims{"htu": "https://API.EXAMPLE:443/a"}), admitted, ok},
		{"escaped without need", bound(claims{"htu": "https://api.example/%61"}), admitted, ok},
		{"escapes in the request", at("/x%2fy%7ez", "https://api.example/x%2Fy~z"), admitted, ok},
		{"slash is not its escape", at("/x%2fy", "https://api.example/x/y"), badProof, noProof},
		{"no path", at("", "https://api.example"), admitted, ok},
		{"just young enough", bound(claims{"iat": now.Add(-time.Minute).Unix()}), admitted, ok},
		{"too old", bound(claims{"iat": now.Add(-61 * time.Second).Unix()}), badProof, noProof},
		{"just not too early", bound(claims{"iat": now.Add(time.Minute).Unix()}), admitted, ok},
		{"from the future", bound(claims{"iat": now.Add(61 * time.Second).Unix()}), badProof, noProof},
		{"no token hash", bound(claims{"ath": nil}), badProof, noProof},
		{"hash of another token", bound(claims{"ath": dpoptest.TokenHash("plain")}), badProof, noProof},
		{"scheme alone", send("DPoP", proof(nil)), refusal("400", "invalid_request", badReqText, bearerOffer+params("invalid_request", badReqText)), malformed},
		{"joined", send("DPoP bound, Bearer plain", proof(nil)), refusal("400", "invalid_request", badReqText, bearerOffer+params("invalid_request", badReqText)), twoTokens},
	}
	nonceKey := bytes.Repeat([]byte("k"), 32)
	return []group{
		{"DPoP optional", config(middleware.Optional), anyToken, optional},
		{"DPoP strict", config(middleware.Strict), anyToken, []row{
			{"good", bound(nil), admitted, ok},
			{"nothing", get(), bareDPoP, noToken},
			{"plain bearer", send("Bearer plain"), onlyDPoP(invalidDPoP), binding},
			{"bound as bearer", send("Bearer bound"), onlyDPoP(invalidDPoP), binding},
			{"no proof", send("DPoP bound"), onlyDPoP(badProof), noProof},
		}},
		{"DPoP off", func(c *middleware.Config) { c.Verifier, c.DPoP.Mode = known, middleware.Off }, anyToken, []row{
			{"good", bound(nil), bare, noToken},
			{"as bearer", send("Bearer bound", proof(nil)), invalid, binding},
			{"plain bearer", send("Bearer plain"), admitted, ok},
		}},
		{"DPoP for some routes", config(middleware.Optional), middleware.Policy{Scopes: scopes.AnyToken(), SenderConstrained: true}, []row{
			{"good", bound(nil), admitted, ok},
			{"plain bearer", send("Bearer plain"), invalidBearer, binding},
			{"nothing", get(), bareBoth, noToken},
		}},
		{"DPoP and scopes", config(middleware.Optional), middleware.Policy{Scopes: scopes.All("write")}, []row{
			{"too little", bound(nil), refusal("403", "insufficient_scope", scopeText,
				dpopOffer+params("insufficient_scope", scopeText)+`, scope="write"`), scope},
		}},
		{"DPoP settings", func(c *middleware.Config) {
			config(middleware.Strict)(c)
			c.DPoP.External = "http://localhost:8080/base/"
			c.DPoP.Algorithms = []string{"EdDSA", "ES256"}
			c.DPoP.Window = 5 * time.Second
		}, anyToken, []row{
			{"good", bound(claims{"htu": "http://localhost:8080/base/a"}), admitted, ok},
			{"without the base", bound(claims{"htu": "http://localhost:8080/a"}), strings.Replace(onlyDPoP(badProof), algs, `, algs="EdDSA ES256"`, 1), noProof},
			{"algorithm not taken", withAlg("ES384"), strings.Replace(onlyDPoP(badProof), algs, `, algs="EdDSA ES256"`, 1), noProof},
			{"too old", bound(claims{"htu": "http://localhost:8080/base/a", "iat": now.Unix() - 6}), strings.Replace(onlyDPoP(badProof), algs, `, algs="EdDSA ES256"`, 1), noProof},
		}},
		{"DPoP store down", func(c *middleware.Config) {
			config(middleware.Strict)(c)
			c.DPoP.Replays = brokenStore{}
		}, anyToken, []row{
			{"good", bound(nil), outage, middleware.ReasonUnavailable},
		}},
		{"DPoP nonce", func(c *middleware.Config) {
			config(middleware.Strict)(c)
			c.DPoP.NonceKey = nonceKey
		}, anyToken, []row{
			{"none", bound(nil), strings.Replace(onlyDPoP(refusal("401", "use_dpop_nonce", nonceText,
				dpopOffer+params("use_dpop_nonce", nonceText), bearerOffer)),
				"Www", "Dpop-Nonce: "+nonceOfNow+"\nWww", 1), middleware.ReasonNonce},
			{"wrong", bound(claims{"nonce": "AAAAAAAAAAAAAAAAAAAAAAAA"}), strings.Replace(onlyDPoP(refusal("401", "use_dpop_nonce", nonceText,
				dpopOffer+params("use_dpop_nonce", nonceText), bearerOffer)),
				"Www", "Dpop-Nonce: "+nonceOfNow+"\nWww", 1), middleware.ReasonNonce},
			{"good", bound(claims{"nonce": nonceOfNow}), strings.Replace(admitted, "X-H", "Dpop-Nonce: "+nonceOfNow+"\nX-H", 1), ok},
		}},
	}
}

// nonceOfNow is the nonce that a guard with the key of the table hands out at
// the time of the table.
const nonceOfNow = "OTOOpQuB2-xtJOMr3vw_rgg8"

type brokenStore struct{}

func (brokenStore) Spend(context.Context, string, string, time.Time) (bool, error) {
	return false, errors.New("connection refused")
}

// certificateGroups are the ways to show a certificate. What is in it does
// not matter: the connection proves the key, or the proxy says so.
func certificateGroups() []group {
	mine, others := []byte("certificate"), []byte("another")
	sum := sha256.Sum256(mine)
	bound := with(func(t *sneck.Token) {
		t.Confirmation = &sneck.Confirmation{X5TS256: base64.RawURLEncoding.EncodeToString(sum[:])}
	})
	known := tokens{
		"bound": bound,
		"plain": token("read"),
		"unknown": with(func(t *sneck.Token) {
			t.Confirmation = &sneck.Confirmation{X5TS256: bound.Confirmation.X5TS256, Unknown: true}
		}),
	}
	config := func(mode middleware.Mode) func(*middleware.Config) {
		return func(c *middleware.Config) { c.Verifier, c.MTLS = known, middleware.MTLS{Mode: mode} }
	}
	shows := func(certificates ...[]byte) func(*http.Request) {
		return func(r *http.Request) {
			r.TLS = &tls.ConnectionState{}
			for _, der := range certificates {
				r.TLS.PeerCertificates = append(r.TLS.PeerCertificates, &x509.Certificate{Raw: der})
			}
		}
	}
	from := func(remote string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = remote } }
	field := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Client-Cert"] = values }
	}
	rfc9440 := func(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }
	escaped := func(der []byte, kind string) string {
		return url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	const binding = middleware.ReasonBinding

	return []group{
		{"certificate optional", config(middleware.Optional), anyToken, []row{
			{"good", change(get("Bearer bound"), shows(mine)), admitted, ok},
			{"plain token", change(get("Bearer plain"), shows(mine)), admitted, ok},
			{"plain token, no certificate", get("Bearer plain"), admitted, ok},
			{"no TLS", get("Bearer bound"), invalid, binding},
			{"no certificate", change(get("Bearer bound"), shows()), invalid, binding},
			{"another certificate", change(get("Bearer bound"), shows(others)), invalid, binding},
			{"second in the chain", change(get("Bearer bound"), shows(others, mine)), invalid, binding},
			{"further cnf", change(get("Bearer unknown"), shows(mine)), invalid, binding},
			{"in a header", change(get("Bearer bound"), field(rfc9440(mine))), invalid, binding},
		}},
		{"certificate strict", config(middleware.Strict), anyToken, []row{
			{"good", change(get("Bearer bound"), shows(mine)), admitted, ok},
			{"plain token", change(get("Bearer plain"), shows(mine)), invalid, binding},
			{"nothing", get(), bare, noToken},
		}},
		{"certificate off", config(middleware.Off), anyToken, []row{
			{"good", change(get("Bearer bound"), shows(mine)), invalid, binding},
			{"plain token", get("Bearer plain"), admitted, ok},
		}},
		{"certificate for some routes", config(middleware.Optional), middleware.Policy{Scopes: scopes.AnyToken(), SenderConstrained: true}, []row{
			{"good", change(get("Bearer bound"), shows(mine)), admitted, ok},
			{"plain token", change(get("Bearer plain"), shows(mine)), invalid, binding},
		}},
		{"certificate from a proxy", func(c *middleware.Config) {
			config(middleware.Optional)(c)
			c.MTLS.Header = "client-cert"
			c.MTLS.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("fe80::/10")}
		}, anyToken, []row{
			{"good", change(get("Bearer bound"), from("10.1.2.3:4"), field(rfc9440(mine))), admitted, ok},
			{"IPv6", change(get("Bearer bound"), from("[fd00::1]:4"), field(rfc9440(mine))), admitted, ok},
			{"IPv6 of a link", change(get("Bearer bound"), from("[fe80::1%eth0]:4"), field(rfc9440(mine))), admitted, ok},
			{"IPv4 in IPv6", change(get("Bearer bound"), from("[::ffff:10.1.2.3]:4"), field(rfc9440(mine))), admitted, ok},
			{"PEM", change(get("Bearer bound"), from("10.1.2.3:4"), field(escaped(mine, "CERTIFICATE"))), admitted, ok},
			{"directly", change(get("Bearer bound"), from("192.0.2.1:4"), shows(mine)), admitted, ok},
			{"not a proxy", change(get("Bearer bound"), from("192.0.2.1:4"), field(rfc9440(mine))), invalid, binding},
			{"not an address", change(get("Bearer bound"), from("@"), field(rfc9440(mine))), invalid, binding},
			{"no port", change(get("Bearer bound"), from("10.1.2.3"), field(rfc9440(mine))), invalid, binding},
			{"the proxy's own", change(get("Bearer bound"), from("10.1.2.3:4"), shows(mine)), invalid, binding},
			{"the proxy's own at a link", change(get("Bearer bound"), from("[fe80::1%eth0]:4"), shows(mine)), invalid, binding},
			{"another", change(get("Bearer bound"), from("10.1.2.3:4"), field(rfc9440(others))), invalid, binding},
			{"two", change(get("Bearer bound"), from("10.1.2.3:4"), field(rfc9440(mine), rfc9440(mine))), invalid, binding},
			{"empty", change(get("Bearer bound"), from("10.1.2.3:4"), field("")), invalid, binding},
			{"no end", change(get("Bearer bound"), from("10.1.2.3:4"), field(strings.TrimSuffix(rfc9440(mine), ":"))), invalid, binding},
			{"nothing between colons", change(get("Bearer bound"), from("10.1.2.3:4"), field("::")), invalid, binding},
			{"not base64", change(get("Bearer bound"), from("10.1.2.3:4"), field(":%%:")), invalid, binding},
			{"PEM of a key", change(get("Bearer bound"), from("10.1.2.3:4"), field(escaped(mine, "PRIVATE KEY"))), invalid, binding},
			{"two PEM", change(get("Bearer bound"), from("10.1.2.3:4"), field(escaped(mine, "CERTIFICATE")+escaped(others, "CERTIFICATE"))), invalid, binding},
			{"bad escape", change(get("Bearer bound"), from("10.1.2.3:4"), field("%zz")), invalid, binding},
		}},
	}
}
