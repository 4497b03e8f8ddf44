package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver/admin"
)

// An officer is an administrator with a browser.
type officer struct {
	t      *testing.T
	url    string
	client *http.Client
}

// open opens a page, and sends a form if there is one. It returns where the
// browser is in the end, and what it sees.
func (o *officer) open(path string, form url.Values) (int, string, string) {
	o.t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(o.t.Context(), method, o.url+path, strings.NewReader(form.Encode()))
	if !assert.NoError(o.t, err) {
		return 0, "", ""
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := o.client.Do(r)
	if !assert.NoError(o.t, err) {
		return 0, "", ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	assert.NoError(o.t, err)
	return answer.StatusCode, answer.Request.URL.RequestURI(), string(body)
}

// sealingKey is what the server of administer has in its file.
const sealingKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

// The pages work at a real server: what many do at once is done once, a client
// that was registered gets tokens, and a restart signs nobody out.
func TestAdministrationPages(t *testing.T) {
	data := t.TempDir()
	a := administer(t, data)
	status, made := a.ask(t, a.token, "POST", "accounts", `{"username": "root", "admin": true}`, nil)
	require.Equal(t, http.StatusCreated, status, made)
	var account admin.Account
	require.NoError(t, json.Unmarshal([]byte(made), &account))
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	o := &officer{t, strings.TrimSuffix(a.api, admin.Path), &http.Client{Jar: jar}}

	_, _, body := o.open("/", nil)
	assert.Contains(t, body, "<h1>Sign in</h1>")
	_, at, body := o.open("/admin/", url.Values{"action": {"sign-in"}, "username": {"root"}, "password": {account.Password}})
	assert.Equal(t, "/admin/", at)
	assert.Contains(t, body, "<h1>Administration</h1>")
	assert.NotContains(t, body, account.Password)

	form := url.Values{
		"client_id": {"app"}, "grant_types": {"client_credentials"}, "scope": {"notes:read"}, "audience": {"https://notes.example"},
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	statuses, secrets := map[int]int{}, []string{}
	for range 8 {
		wg.Go(func() {
			status, _, body := o.open("/admin/clients/new", form)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
			if m := regexp.MustCompile(`id="secret">([^<]+)<`).FindStringSubmatch(body); m != nil {
				secrets = append(secrets, m[1])
			}
		})
	}
	wg.Wait()
	assert.Equal(t, map[int]int{http.StatusOK: 1, http.StatusConflict: 7}, statuses)
	require.Len(t, secrets, 1)
	client := newClient(1)
	t.Cleanup(client.CloseIdleConnections)
	answer, err := client.post(t.Context(), a.url+"/token", credentials{"app", secrets[0]}, url.Values{"grant_type": {"client_credentials"}, "scope": {"notes:read"}})
	require.NoError(t, err)
	_, err = answer.token()
	require.NoError(t, err)

	// The pages are at that address only, and the cookie is of no use elsewhere.
	for path, want := range map[string]string{"/admin/": "404", "/account": "<h1>Sign in</h1>"} {
		other := &officer{t, a.url, o.client}
		_, _, body := other.open(path, nil)
		assert.Contains(t, body, want, path)
	}
	require.NoError(t, a.stop(syscall.SIGTERM))
	assert.NotContains(t, string(a.err.bytes()), secrets[0])
	assert.NotContains(t, string(a.err.bytes()), account.Password)

	var again background
	key := filepath.Join(t.TempDir(), "sealing.key")
	require.NoError(t, os.WriteFile(key, []byte(sealingKey), 0o600))
	_, err = again.start(exec.Command("sneck", "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--sealing-key", key))
	require.NoError(t, err)
	defer again.kill()
	require.Eventually(t, func() bool {
		m := regexp.MustCompile(`pages=(\S+)/admin/`).FindSubmatch(again.err.bytes())
		if m != nil {
			o.url = string(m[1])
		}
		return m != nil
	}, time.Minute, 5*time.Millisecond)
	_, _, body = o.open("/admin/client?id=app", nil)
	assert.Contains(t, body, "<h1>app</h1>")
	assert.NotContains(t, body, secrets[0])
	require.NoError(t, again.stop(syscall.SIGTERM))
}

// A URL for the pages without TLS is for this machine only, and without one
// there are none at an address that others reach.
func TestAdministrationPagesNeedTLS(t *testing.T) {
	serve := func(args ...string) (int, string) {
		status, _, stderr := inProcess(t, append([]string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0"}, args...)...)
		return status, stderr
	}
	for want, args := range map[string][]string{
		"--admin-url has no effect without an address (hint: admin_listen)":                         {"--admin-url", "https://admin.example.com"},
		`--admin-url "http://admin.example.com" is not https (hint: http is for this machine only)`: {"--admin-listen", "127.0.0.1:0", "--admin-url", "http://admin.example.com"},
		`--admin-url "admin.example.com" is not the URL of pages`:                                   {"--admin-listen", "127.0.0.1:0", "--admin-url", "admin.example.com"},
		// Each link would begin with "//", and so lead to another host.
		`--admin-url "https://admin.example.com/" ends with a slash (hint: leave it out)`: {"--admin-listen", "127.0.0.1:0", "--admin-url", "https://admin.example.com/"},
		`--admin-url has user information (hint: `:                                        {"--admin-listen", "127.0.0.1:0", "--admin-url", "https://root:hunter2@admin.example.com"},
	} {
		status, stderr := serve(args...)
		assert.Equal(t, exitUsage, status, want)
		assert.Contains(t, stderr, want)
		assert.NotContains(t, stderr, "hunter2")
	}
	var public background
	_, err := public.start(exec.Command("sneck", "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0", "--insecure-admin-listen"))
	require.NoError(t, err)
	defer public.kill()
	require.Eventually(t, func() bool {
		return strings.Contains(string(public.err.bytes()), "there are no pages for administrators")
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, public.stop(syscall.SIGTERM))
}

// The pages offer passkeys where browsers have them: at the host of the issuer,
// at which people make theirs.
func TestAdministrationPagesOfferPasskeysThatWork(t *testing.T) {
	for at, want := range map[string]bool{"http://localhost:8081": true, "https://localhost": true, "https://admin.example.com": false} {
		var s background
		_, err := s.start(exec.Command("sneck", "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--issuer", "http://localhost:8080",
			"--admin-listen", "127.0.0.1:0", "--admin-url", at))
		require.NoError(t, err)
		t.Cleanup(s.kill)
		var url string
		require.Eventually(t, func() bool {
			m := regexp.MustCompile(`url=(http://[0-9.:]+)` + admin.Path).FindSubmatch(s.err.bytes())
			if m != nil {
				url = string(m[1])
			}
			return m != nil
		}, time.Minute, 5*time.Millisecond)
		_, _, body := (&officer{t, url, &http.Client{}}).open("/admin/", nil)
		require.Contains(t, body, "<h1>Sign in</h1>")
		assert.Equal(t, want, strings.Contains(body, `value="passkey"`), at)
		require.NoError(t, s.stop(syscall.SIGTERM))
	}
}
