package introspect_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
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

// miss returns one question of a Client.
func miss(b *testing.B) func() {
	c, err := introspect.New(introspect.Config{
		Endpoint: benchServer(b), Issuer: "https://as.example.com", Credential: introspect.Basic("api", "s3cr3t"),
	})
	require.NoError(b, err)
	return func() {
		if _, err := c.Verify(b.Context(), benchToken); err != nil {
			b.Fatal(err)
		}
	}
}

// floor returns the least that can be written by hand with net/http: no
// retry, no strictness, no deadline of its own.
func floor(b *testing.B) func() {
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
	return func() {
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

// BenchmarkMiss is what a question costs whose answer nobody remembers.
func BenchmarkMiss(b *testing.B) {
	ask := miss(b)
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}

// BenchmarkMissFloor is what BenchmarkMiss is held against.
func BenchmarkMissFloor(b *testing.B) {
	ask := floor(b)
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}

// BenchmarkMissPerFloor takes turns between the two, so that what else the
// machine does meets both. The ratio of the medians should be 1.2 at most.
func BenchmarkMissPerFloor(b *testing.B) {
	ask, least := miss(b), floor(b)
	var asks, leasts []time.Duration
	for b.Loop() {
		began := time.Now()
		least()
		middle := time.Now()
		ask()
		leasts, asks = append(leasts, middle.Sub(began)), append(asks, time.Since(middle))
	}
	slices.Sort(asks)
	slices.Sort(leasts)
	b.ReportMetric(float64(asks[len(asks)/2])/float64(leasts[len(leasts)/2]), "floors")
}
