package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/sqlite"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/scopes"
)

const (
	cbURL       = "http://127.0.0.1/cb"
	fixedSecret = "a secret of 22 characters or more"
	goodWord    = "correct horse battery staple"
	verifier    = "a-verifier-that-is-long-enough-for-the-standard"
)

// A house is a database in which servers with different settings live in turn,
// with clients, an account, and a person who stays signed in.
type house struct {
	dir   string
	store *sqlite.Store
	alice *person
}

// emptyHouse returns one in which there is nothing.
func emptyHouse(t *testing.T) *house {
	dir := t.TempDir()
	store, err := sqlite.Open(context.Background(), dir+"/sneck.db")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return &house{dir: dir, store: store, alice: newPerson(t)}
}

func newHouse(t *testing.T) *house {
	h := emptyHouse(t)
	secrets := []authserver.Secret{{Hash: authserver.HashGenerated(fixedSecret)}}
	all := scopes.Set{"read", "write", "view", "change"}
	for _, c := range []authserver.Client{
		{ID: "app", Grants: []string{authserver.GrantClientCredentials}, Scopes: all, Audience: []string{"https://api.example"}},
		{ID: "anywhere", Grants: []string{authserver.GrantClientCredentials}, Scopes: all},
		{ID: "web", Grants: []string{authserver.GrantAuthorizationCode, authserver.GrantRefreshToken}, Scopes: all, Audience: []string{"https://api.example"}, RedirectURIs: []string{cbURL}},
		{ID: "old", Grants: []string{authserver.GrantPassword}, Scopes: all, Audience: []string{"https://api.example"}},
		{ID: "tv", Grants: []string{authserver.GrantDeviceCode}, Scopes: all, Audience: []string{"https://api.example"}},
		{ID: "api", Introspect: true, Serves: []string{"https://api.example"}},
	} {
		c.Secrets = secrets
		require.NoError(t, h.store.PutClient(t.Context(), &c))
	}
	accounts, err := pages.NewAccounts(h.store, nil)
	require.NoError(t, err)
	_, err = accounts.Create(t.Context(), "alice", goodWord)
	require.NoError(t, err)
	h.alice.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/cb" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return h
}

// A serving is a server that runs.
type serving struct {
	*house
	t   *testing.T
	url string
	now bool // it has another setting than the standard one
}

var listening = regexp.MustCompile(`msg=listening url=(\S+)`)

// serve runs "sneck serve" until the test ends.
func (h *house) serve(t *testing.T, env map[string]string, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stderr, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		args := append([]string{"serve", "--data", h.dir, "--listen", "127.0.0.1:0"}, args...)
		status <- run(ctx, args, env, nil, io.Discard, w)
		w.Close()
	}()
	var log strings.Builder
	lines := bufio.NewScanner(stderr)
	s := &serving{house: h, t: t}
	for s.url == "" && lines.Scan() {
		log.WriteString(lines.Text() + "\n")
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			s.url = m[1]
		}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines.Scan() {
			log.WriteString(lines.Text() + "\n")
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		require.Equal(t, exitOK, <-status, log.String())
	})
	require.NotEmpty(t, s.url, log.String())
	h.alice.t = t
	return s
}

// post sends a form as a client, and returns the status and the JSON answer.
func (s *serving) post(path, client, form string) (int, map[string]any) {
	s.t.Helper()
	return s.send(path, client, "application/x-www-form-urlencoded", form)
}

func (s *serving) send(path, client, contentType, body string) (int, map[string]any) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	r.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(fixedSecret))
	r.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	var answer map[string]any
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		require.NoError(s.t, json.NewDecoder(resp.Body).Decode(&answer))
	}
	return resp.StatusCode, answer
}

// token returns the answer of the token endpoint for the client itself.
func (s *serving) token(client, scope string) map[string]any {
	s.t.Helper()
	form := "grant_type=client_credentials"
	if scope != "" {
		form += "&scope=" + url.QueryEscape(scope)
	}
	_, answer := s.post("/token", client, form)
	return answer
}

// metadata returns a member of what the server says about itself.
func (s *serving) metadata(name string) any {
	s.t.Helper()
	resp, err := http.Get(s.url + "/.well-known/oauth-authorization-server")
	require.NoError(s.t, err)
	defer resp.Body.Close()
	var all map[string]any
	require.NoError(s.t, json.NewDecoder(resp.Body).Decode(&all))
	return all[name]
}

// ask opens the page at which alice decides, signing in if she has to. It
// returns the page, and where she is sent instead if there is none.
func (s *serving) ask(more string) (page, back string) {
	s.t.Helper()
	query := url.Values{"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {cbURL}, "scope": {"read"}, "state": {"s"}}.Encode() + more
	resp, page := s.alice.get(s.url + "/authorize?" + query)
	if strings.Contains(page, `name="password"`) {
		resp, page = s.alice.post(url.Values{"action": {"sign-in"}, "username": {"alice"}, "password": {goodWord}})
	}
	return page, sentTo(resp)
}

func sentTo(resp *http.Response) string {
	if back, ok := strings.CutPrefix(resp.Header.Get("Refresh"), "0; url="); ok {
		return back
	}
	return resp.Header.Get("Location")
}

func challenge() string {
	digest := sha256.Sum256([]byte(verifier))
	return "&code_challenge_method=S256&code_challenge=" + base64.RawURLEncoding.EncodeToString(digest[:])
}

var asField = regexp.MustCompile(`name="as" value="(\w+)"`)

// code has alice approve, and returns the authorization code.
func (s *serving) code() string {
	s.t.Helper()
	page, back := s.ask(challenge())
	if back == "" {
		as := asField.FindStringSubmatch(page)
		require.NotNil(s.t, as, page)
		resp, _ := s.alice.post(url.Values{"action": {"approve"}, "as": {as[1]}, "scope": {"read"}})
		back = sentTo(resp)
	}
	u, err := url.Parse(back)
	require.NoError(s.t, err)
	require.NotEmpty(s.t, u.Query().Get("code"), back)
	return u.Query().Get("code")
}

// login returns what alice's client gets for a code.
func (s *serving) login() map[string]any {
	s.t.Helper()
	status, answer := s.post("/token", "web", url.Values{
		"grant_type": {"authorization_code"}, "code": {s.code()}, "redirect_uri": {cbURL}, "code_verifier": {verifier},
	}.Encode())
	require.Equal(s.t, 200, status, answer)
	return answer
}

// refresh returns what the client gets for a refresh token.
func (s *serving) refresh(token any) (int, map[string]any) {
	s.t.Helper()
	return s.post("/token", "web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.(string)}}.Encode())
}

// life returns how many seconds the newest record of a kind lives; -1 for ever.
func (s *serving) life(kind authserver.Kind, client string) int {
	s.t.Helper()
	records, err := s.store.List(s.t.Context(), kind, authserver.Selector{Client: client}, authserver.Key{}, 1000)
	require.NoError(s.t, err)
	var newest authserver.Record
	for _, r := range records {
		if r.Issued.After(newest.Issued) {
			newest = r
		}
	}
	require.NotZero(s.t, newest.Issued, "there is no record")
	if newest.Expires.IsZero() {
		return -1
	}
	return int(newest.Expires.Sub(newest.Issued).Round(time.Second) / time.Second)
}
