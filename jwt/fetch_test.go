package jwt_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/jwt"
)

func TestRJ26_OnlySafeURLs(t *testing.T) {
	for url, safe := range map[string]bool{
		"https://as.example/jwks":            true,
		"https://as.example:8443/jwks?p=x":   true,
		"http://127.0.0.1:8080/jwks":         true,
		"http://[::1]/jwks":                  true,
		"http://localhost/jwks":              true,
		"http://as.example/jwks":             false,
		"http://127.0.0.1.evil.example/jwks": false,
		"http://localhost.evil.example/jwks": false,
		"http://10.0.0.1/jwks":               false,
		"http://169.254.169.254/latest":      false,
		"http://[::ffff:10.0.0.1]/jwks":      false,
		"https://user:secret@as.example/":    false,
		"https:///jwks":                      false,
		"https:as.example":                   false,
		"//as.example/jwks":                  false,
		"file:///etc/passwd":                 false,
		"ftp://as.example/jwks":              false,
		"gopher://127.0.0.1/":                false,
		"https://as.example/jwks#x":          false,
		"":                                   false,
		"as.example":                         false,
		"https://as.example/%zz":             false,
		"https://as.example/\r\nHost: x":     false,
	} {
		r, err := jwt.NewJWKS(url, jwt.Fetch{})
		assert.Equal(t, safe, err == nil, "%q: %v", url, err)
		assert.Equal(t, safe, r != nil, url)
	}
}

func TestRJ26_BoundedFetch(t *testing.T) {
	good := keysOf("a")
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		fmt.Fprint(w, good)
	}))
	defer other.Close()
	for name, handler := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) },
		"redirect to itself": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/x", http.StatusTemporaryRedirect)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, strings.Repeat(" ", 1<<16)); err != nil {
					return
				}
			}
		},
		"drip": func(w http.ResponseWriter, r *http.Request) {
			for _, c := range good {
				fmt.Fprint(w, string(c))
				w.(http.Flusher).Flush()
				select {
				case <-time.After(50 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
		},
		"truncated": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, good[:len(good)/2]) },
		"204":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"gzip not wanted": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte{0x1f, 0x8b})
		},
		"reset": func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			r, err := jwt.NewJWKS(server.URL, jwt.Fetch{Timeout: 300 * time.Millisecond})
			require.NoError(t, err)
			defer r.Close()
			began := time.Now()
			assert.Equal(t, "unavailable", has(t.Context(), r, "a"))
			assert.Less(t, time.Since(began), 5*time.Second)
		})
	}
	assert.Zero(t, elsewhere.Load(), "no redirect is followed")
}

// No proxy, compression or cookie gets into it, and the real server's keys
// come out.
func TestRJ26_Loopback(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Empty(t, r.Header.Get("Cookie"))
		assert.Empty(t, r.Header.Get("Authorization"))
		assert.Empty(t, r.Header.Get("Accept-Encoding"))
		fmt.Fprint(w, keysOf("a"))
	}))
	defer server.Close()
	r, err := jwt.NewJWKS(server.URL, jwt.Fetch{})
	require.NoError(t, err)
	defer r.Close()
	assert.Equal(t, "key", has(t.Context(), r, "a"))
}

// With RefusePrivateAddresses no name and no literal leads inside.
func TestRJ26_PrivateAddresses(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	defer server.Close()
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.1.1", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"} {
		r, err := jwt.NewJWKS("https://"+host+port, jwt.Fetch{RefusePrivateAddresses: true, Timeout: time.Second})
		require.NoError(t, err)
		assert.Equal(t, "unavailable", has(t.Context(), r, "a"), host)
		assert.ErrorContains(t, r.Status().Err, "refused address", host)
		r.Close()
	}
	// That http works to the loopback is no way around it.
	r, err := jwt.NewJWKS("http://127.0.0.1"+port, jwt.Fetch{RefusePrivateAddresses: true, Timeout: time.Second})
	require.NoError(t, err)
	defer r.Close()
	assert.Equal(t, "unavailable", has(t.Context(), r, "a"))
	assert.ErrorContains(t, r.Status().Err, "refused address")
}

func TestDiscover(t *testing.T) {
	document := func(issuer string) string {
		return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"x":{}}`, issuer, jwksURL)
	}
	for _, test := range []struct {
		name, issuer string
		metadata     map[string]string
		want         string
		asked        int
	}{
		{"RFC 8414", "https://as.example", map[string]string{"https://as.example/.well-known/oauth-authorization-server": document("https://as.example")}, "key", 2},
		{"OpenID", "https://as.example", map[string]string{"https://as.example/.well-known/openid-configuration": document("https://as.example")}, "key", 3},
		{"RFC 8414, path", "https://as.example/t/1", map[string]string{"https://as.example/.well-known/oauth-authorization-server/t/1": document("https://as.example/t/1")}, "key", 2},
		{"OpenID, path", "https://as.example/t/1", map[string]string{"https://as.example/t/1/.well-known/openid-configuration": document("https://as.example/t/1")}, "key", 3},
		{"slash at the end", "https://as.example/", map[string]string{"https://as.example/.well-known/oauth-authorization-server": document("https://as.example/")}, "key", 2},
		{"path with a slash at the end", "https://as.example/t/", map[string]string{"https://as.example/t/.well-known/openid-configuration": document("https://as.example/t/")}, "key", 3},
		{"other issuer", "https://as.example", map[string]string{"https://as.example/.well-known/openid-configuration": document("https://evil.example")}, "unavailable", 2},
		{"slash too many", "https://as.example", map[string]string{"https://as.example/.well-known/openid-configuration": document("https://as.example/")}, "unavailable", 2},
		{"second is right", "https://as.example", map[string]string{
			"https://as.example/.well-known/oauth-authorization-server": document("https://evil.example"),
			"https://as.example/.well-known/openid-configuration":       document("https://as.example"),
		}, "key", 3},
		{"nothing", "https://as.example", nil, "unavailable", 2},
		{"issuer missing", "https://as.example", map[string]string{"https://as.example/.well-known/openid-configuration": `{"jwks_uri":"` + jwksURL + `"}`}, "unavailable", 2},
		{"issuer in capitals", "https://as.example", map[string]string{"https://as.example/.well-known/openid-configuration": `{"ISSUER":"https://as.example","jwks_uri":"` + jwksURL + `"}`}, "unavailable", 2},
		{"issuer twice", "https://as.example", map[string]string{"https://as.example/.well-known/openid-configuration": `{"issuer":"https://evil.example","issuer":"https://as.example","jwks_uri":"` + jwksURL + `"}`}, "unavailable", 2},
		{"no jwks_uri", "https://as.example", map[string]string{"https://as.example/.well-known/openid-configuration": `{"issuer":"https://as.example"}`}, "unavailable", 2},
		{"unsafe jwks_uri", "https://as.example", map[string]string{"https://as.example/.well-known/openid-configuration": `{"issuer":"https://as.example","jwks_uri":"http://169.254.169.254/"}`}, "unavailable", 2},
		{"jwks_uri is no string", "https://as.example", map[string]string{"https://as.example/.well-known/openid-configuration": `{"issuer":"https://as.example","jwks_uri":["` + jwksURL + `"]}`}, "unavailable", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := &authority{set: keysOf("a"), metadata: test.metadata}
			r, err := jwt.Discover(test.issuer, jwt.Fetch{HTTPClient: a.client()})
			require.NoError(t, err)
			defer r.Close()
			assert.Equal(t, test.want, has(t.Context(), r, "a"))
			assert.Len(t, a.asked, test.asked, a.asked)
		})
	}
}

// The key set's place is asked for again after an hour, and when it fails.
func TestDiscoverAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{set: keysOf("a"), metadata: map[string]string{
			"https://as.example/.well-known/oauth-authorization-server": `{"issuer":"https://as.example","jwks_uri":"` + jwksURL + `"}`,
		}}
		r, err := jwt.Discover("https://as.example", jwt.Fetch{HTTPClient: a.client()})
		require.NoError(t, err)
		defer r.Close()
		metadata := func() int { a.mu.Lock(); defer a.mu.Unlock(); return len(a.asked) - a.fetched }
		require.Equal(t, "key", has(t.Context(), r, "a"))
		for range 5 {
			time.Sleep(11 * time.Minute)
			require.Equal(t, "key", has(t.Context(), r, "a"))
		}
		assert.Equal(t, 1, metadata())
		time.Sleep(11 * time.Minute)
		require.Equal(t, "key", has(t.Context(), r, "a"))
		assert.Equal(t, 2, metadata())

		a.change(func(a *authority) {
			a.status = 410
			a.metadata = map[string]string{
				"https://as.example/.well-known/oauth-authorization-server": `{"issuer":"https://as.example","jwks_uri":"https://as.example/new"}`,
				"https://as.example/new":                                    keysOf("b"),
			}
		})
		time.Sleep(11 * time.Minute)
		require.Equal(t, "key", has(t.Context(), r, "a"), "the last good set")
		time.Sleep(2 * time.Second)
		require.Equal(t, "key", has(t.Context(), r, "a"))
		synctest.Wait()
		assert.Equal(t, "key", has(t.Context(), r, "b"), "the set has moved")
	})
}

func TestWarmStart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		kept := func(f *jwt.Fetch) { f.Dir = dir }
		_, r := remote(t, kept, "a")
		require.Equal(t, "key", has(t.Context(), r, "a"))
		r.Close()
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.Len(t, files, 1)

		start := func(name string, alter func([]byte) []byte) string {
			data, err := os.ReadFile(files[0])
			require.NoError(t, err, name)
			defer func() { require.NoError(t, os.WriteFile(files[0], data, 0o600)) }()
			require.NoError(t, os.WriteFile(files[0], alter(data), 0o600))
			a, r := remote(t, kept)
			defer r.Close()
			a.change(func(a *authority) { a.status = 500 })
			return has(t.Context(), r, "a")
		}
		replace := func(old, new string) func([]byte) []byte {
			return func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), old, new)) }
		}
		same := func(b []byte) []byte { return b }
		assert.Equal(t, "key", start("at once", same))
		time.Sleep(59 * time.Minute)
		assert.Equal(t, "key", start("nearly too old", same))
		assert.Equal(t, "unavailable", start("of another source", replace("as.example", "ab.example")))
		assert.Equal(t, "unavailable", start("not JSON", func([]byte) []byte { return []byte("x") }))
		assert.Equal(t, "unavailable", start("empty", func([]byte) []byte { return nil }))
		assert.Equal(t, "unavailable", start("from the future", replace(`"fetched":"2000`, `"fetched":"2001`)))
		assert.Equal(t, "unavailable", start("without keys", replace("kty", "kti")))
		time.Sleep(time.Minute)
		assert.Equal(t, "unavailable", start("too old", same))
	})
}
