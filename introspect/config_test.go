package introspect_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/introspect"
)

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := introspect.New(introspect.Config{
		Endpoint:        "https://user:pw@as.example.com/",
		Credential:      introspect.Basic("", ""),
		Parameters:      url.Values{"token": {"x"}},
		Header:          http.Header{"authorization": {"x"}},
		Timeout:         -1,
		Concurrency:     -1,
		NotBeforeLeeway: time.Hour,
		TLS:             &tls.Config{},
		Transport:       http.DefaultTransport,
	})
	require.Error(t, err)
	assert.Equal(t, []string{
		`introspect: Config.Endpoint must not hold credentials (hint: they go into Config.Credential)`,
		`introspect: Basic: the id is empty (hint: that of this API, as the authorization server knows it)`,
		`introspect: Basic: the secret is empty (hint: that of the id; is the variable set?)`,
		`introspect: Config.Parameters must not set "token"`,
		`introspect: Config.Header must not set "authorization"`,
		`introspect: Config.Timeout is negative`,
		`introspect: Config.Concurrency is negative`,
		`introspect: Config.NotBeforeLeeway is more than 1m0s`,
		`introspect: Config.TLS has no effect on Config.Transport (hint: set only one)`,
	}, strings.Split(err.Error(), "\n"))
}

func TestEndpoint(t *testing.T) {
	for _, test := range []struct {
		url      string
		insecure bool
		ok       bool
	}{
		{"https://as.example.com/introspect", false, true},
		{"https://as.example.com/introspect?tenant=a", false, true},
		{"http://127.0.0.1:8080/introspect", false, true},
		{"http://[::1]/introspect", false, true},
		{"http://localhost/introspect", false, true},
		{"http://as.example.com/introspect", true, true},
		{"http://as.example.com/introspect", false, false},
		{"http://127.0.0.1.example.com/", false, false},
		{"http://localhost.example.com/", false, false},
		{"http://169.254.169.254/", false, false},
		{"ftp://as.example.com/", true, false},
		{"file:///etc/passwd", true, false},
		{"as.example.com/introspect", false, false},
		{"//as.example.com/introspect", false, false},
		{"https:as.example.com", false, false},
		{"https:///introspect", false, false},
		{"https://as.example.com/#x", false, false},
		{"https://as.example.com/%zz", false, false},
		{"", false, false},
	} {
		t.Run(test.url, func(t *testing.T) {
			_, err := introspect.New(introspect.Config{Endpoint: test.url, InsecureHTTP: test.insecure, Credential: introspect.Bearer("x")})
			assert.Equal(t, test.ok, err == nil, "%v", err)
		})
	}
}

func TestCredentialsWithMistakes(t *testing.T) {
	for name, credential := range map[string]introspect.Credential{
		"empty bearer":         introspect.Bearer(""),
		"bearer with line end": introspect.Bearer("x\n"),
		"bearer with space":    introspect.Bearer("x y"),
		"raw id with a colon":  introspect.BasicRaw("a:b", "x"),
		"empty post":           introspect.Post("", ""),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := introspect.New(introspect.Config{Endpoint: "https://as.example.com", Credential: credential})
			assert.Error(t, err)
		})
	}
}
