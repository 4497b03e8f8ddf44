package grpc_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sneckauth/sneck"
	adapter "github.com/sneckauth/sneck/adapter/grpc"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// boundTo returns a verifier of one token, "bound".
func boundTo(cnf *sneck.Confirmation) authtest.MapVerifier {
	return authtest.MapVerifier{
		"bound": {Subject: "alice", Audience: []string{audience}, Scopes: scopes.Set{"read"}, Confirmation: cnf},
	}
}

var readRules = map[string]middleware.Policy{service: {Scopes: scopes.All("read")}}

// A token that is bound to a certificate is taken over a connection with that
// alone (RFC 8705, section 3).
func TestMTLS(t *testing.T) {
	own, cnf := authtest.NewCertificate(t)
	another, _ := authtest.NewCertificate(t)
	ca := httptest.NewTLSServer(nil) // for its certificate, which clients trust
	t.Cleanup(ca.Close)
	g, err := adapter.New(adapter.Config{
		Guard: newGuard(t, middleware.Config{Verifier: boundTo(cnf), MTLS: middleware.MTLS{Mode: middleware.Strict}}), Rules: readRules,
	})
	require.NoError(t, err)
	l := listen(t)
	serve(t, l, g, &songs{duplex: echo}, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: ca.TLS.Certificates, ClientAuth: tls.RequestClientCert,
	})))
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate())
	for _, test := range []struct {
		name   string
		client []tls.Certificate
		want   codes.Code
	}{
		{"own", []tls.Certificate{own}, codes.OK},
		{"another", []tls.Certificate{another}, codes.Unauthenticated},
		{"none", nil, codes.Unauthenticated},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := dial(t, l.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
				RootCAs: roots, ServerName: "example.com", Certificates: test.client,
			})))
			_, err := client.UnaryCall(with(t.Context(), "Bearer bound"), &pb.SimpleRequest{})
			assert.Equal(t, test.want, status.Code(err), err)
			stream, err := client.FullDuplexCall(with(t.Context(), "Bearer bound"))
			require.NoError(t, err)
			require.NoError(t, stream.CloseSend())
			_, err = stream.Recv()
			if test.want == codes.OK {
				assert.EqualError(t, err, "EOF")
			} else {
				assert.Equal(t, test.want, status.Code(err))
			}
		})
	}
}

// The certificate may come in the metadata of a proxy that ends TLS, and of
// nobody else.
func TestMTLSBehindProxy(t *testing.T) {
	certificate, cnf := authtest.NewCertificate(t)
	for proxy, want := range map[string]codes.Code{"127.0.0.0/8": codes.OK, "192.0.2.0/24": codes.Unauthenticated} {
		client := start(t, adapter.Config{
			Guard: newGuard(t, middleware.Config{Verifier: boundTo(cnf), MTLS: middleware.MTLS{
				Mode: middleware.Optional, Header: "Client-Cert", TrustedProxies: []netip.Prefix{netip.MustParsePrefix(proxy)},
			}}), Rules: readRules,
		})
		ctx := metadata.AppendToOutgoingContext(with(t.Context(), "Bearer bound"), "client-cert", clientCert(certificate))
		_, err := client.UnaryCall(ctx, &pb.SimpleRequest{})
		assert.Equal(t, want, status.Code(err), proxy)
	}
}

// Where DPoP is on, proofs are for the HTTP request that a call is.
func TestDPoP(t *testing.T) {
	const root = "https://songs.example"
	key := authtest.NewDPoPKey(t)
	client := start(t, adapter.Config{
		Guard: newGuard(t, middleware.Config{Verifier: boundTo(key.Confirmation()), DPoP: middleware.DPoP{
			Mode: middleware.Strict, External: root, NonceKey: []byte("a key of at least thirty-two bytes"),
		}}), Rules: readRules,
	})
	call := func(authorization, proof string) (outcome, string) {
		ctx := metadata.AppendToOutgoingContext(with(t.Context(), authorization), "dpop", proof)
		var header, trailer metadata.MD
		_, err := client.UnaryCall(ctx, &pb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
		nonces := append(header["dpop-nonce"], trailer["dpop-nonce"]...)
		require.Len(t, nonces, 1)
		delete(header, "dpop-nonce")
		delete(header, "content-type")
		out := see(t, err, header, trailer)
		out.Challenge, out.Message = nil, ""
		return out, nonces[0]
	}
	target, err := url.JoinPath(root, unary)
	require.NoError(t, err)

	_, nonce := call("DPoP bound", key.Proof(http.MethodPost, target, "bound", nil))
	claims := map[string]any{"nonce": nonce}
	good := key.Proof(http.MethodPost, target, "bound", claims)
	for _, test := range []struct {
		name, authorization, proof string
		want                       outcome
	}{
		{"no nonce", "DPoP bound", key.Proof(http.MethodPost, target, "bound", nil), outcome{Code: codes.Unauthenticated, Reason: "USE_DPOP_NONCE"}},
		{"good", "DPoP bound", good, outcome{Code: codes.OK}},
		{"good once", "DPoP bound", good, outcome{Code: codes.Unauthenticated, Reason: "INVALID_DPOP_PROOF"}},
		{"another path", "DPoP bound", key.Proof(http.MethodPost, root+empty, "bound", claims), outcome{Code: codes.Unauthenticated, Reason: "INVALID_DPOP_PROOF"}},
		{"another method", "DPoP bound", key.Proof(http.MethodGet, target, "bound", claims), outcome{Code: codes.Unauthenticated, Reason: "INVALID_DPOP_PROOF"}},
		{"another key", "DPoP bound", authtest.NewDPoPKey(t).Proof(http.MethodPost, target, "bound", claims), outcome{Code: codes.Unauthenticated, Reason: "INVALID_TOKEN"}},
	} {
		got, _ := call(test.authorization, test.proof)
		assert.Equal(t, test.want, got, test.name)
	}
}

// clientCert writes a certificate as in RFC 9440, section 2.1.
func clientCert(c tls.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Certificate[0]) + ":"
}
