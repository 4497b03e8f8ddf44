package introspect_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/introspect"
)

const benchAnswer = `{"active":true,"iss":"https://as.example.com","sub":"248289761001","client_id":"s6BhdRkqt3","username":"ada",` +
	`"aud":"https://api.example.com","scope":"read write","jti":"Zq8f","token_type":"Bearer","iat":1700000000,"exp":4000000000}`

const benchToken = "sneck_at_4QrZ8mT2xN7vB1kD9sW3yE6uC5pJ0hL8aF2gRt"

func benchServer(b *testing.B) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, benchAnswer)
	}))
	b.Cleanup(s.Close)
	return s.URL
}

// BenchmarkMiss is what a question costs whose answer nobody remembers. It
// should stay within 1.2 times of BenchmarkMissFloor in the same run.
func BenchmarkMiss(b *testing.B) {
	c, err := introspect.New(introspect.Config{
		Endpoint: benchServer(b), Issuer: "https://as.example.com", Credential: introspect.Basic("api", "s3cr3t"),
	})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Verify(b.Context(), benchToken); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMissFloor is the least that can be written by hand with net/http:
// no retry, no strictness, no deadline of its own.
func BenchmarkMissFloor(b *testing.B) {
	endpoint := benchServer(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	type token struct {
		Active   bool   `json:"active"`
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		ClientID string `json:"client_id"`
		Username string `json:"username"`
		Audience string `json:"aud"`
		Scope    string `json:"scope"`
		ID       string `json:"jti"`
		Type     string `json:"token_type"`
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	b.ReportAllocs()
	for b.Loop() {
		form := url.Values{"token": {benchToken}}
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, endpoint, strings.NewReader(form.Encode()))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("api", "s3cr3t")
		response, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		var t token
		err = json.NewDecoder(response.Body).Decode(&t)
		_ = response.Body.Close()
		if err != nil || !t.Active || !time.Now().Before(time.Unix(t.Expires, 0)) {
			b.Fatal(err, t)
		}
	}
}
