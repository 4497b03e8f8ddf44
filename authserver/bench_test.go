package authserver_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

func bench(b *testing.B, h http.Handler, path, form string, header []string) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := request(path, form, header...)
		for pb.Next() {
			r.Body = io.NopCloser(bytes.NewReader([]byte(form)))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Error(w.Code, w.Body)
			}
		}
	})
}

func BenchmarkServer(b *testing.B) {
	// A rate that is counted, and not reached.
	high := authserver.Rate{Count: 1e9, Per: time.Second}
	counted := authserver.EndpointLimit{Client: high, Address: high}
	benchServer(b, authserver.Limits{Token: counted, Introspect: counted})
	b.Run("without limits", func(b *testing.B) {
		off := authserver.EndpointLimit{Client: none, Address: none}
		benchServer(b, authserver.Limits{Token: off, Introspect: off})
	})
}

func benchServer(b *testing.B, limits authserver.Limits) {
	b.Helper()
	m := authserver.NewMemory()
	srv, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, Limits: limits})
	require.NoError(b, err)
	app, appSecret, err := srv.NewClient(b.Context(), authserver.Client{
		Grants: []string{authserver.GrantClientCredentials}, Scopes: []string{"read"}, Audience: []string{api},
	}, true)
	require.NoError(b, err)
	require.NoError(b, m.PutClient(b.Context(), app))
	rs, rsSecret, err := srv.NewClient(b.Context(), authserver.Client{Introspect: true, Serves: []string{api}}, true)
	require.NoError(b, err)
	require.NoError(b, m.PutClient(b.Context(), rs))

	token := authserver.NewAccessToken()
	require.NoError(b, m.Create(b.Context(), authserver.Record{
		Key: authserver.KeyOf(token), Kind: authserver.KindAccess, Client: app.ID, Subject: app.ID, Audience: []string{api},
	}))
	b.Run("token", func(b *testing.B) {
		bench(b, srv, "/token", credentialsGrant+"&scope=read", basic(app.ID, appSecret))
	})
	b.Run("introspect", func(b *testing.B) {
		bench(b, srv, "/introspect", "token="+token, basic(rs.ID, rsSecret))
	})
	b.Run("introspect garbage", func(b *testing.B) {
		bench(b, srv, "/introspect", "token=garbage", basic(rs.ID, rsSecret))
	})
	b.Run("verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := srv.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
