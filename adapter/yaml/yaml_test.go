package yaml_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// newGuard returns a guard for tokens that are the scopes they grant, with
// "+" between them and "-" for ":".
func newGuard(tb testing.TB) *middleware.Guard {
	tb.Helper()
	guard, err := middleware.New(middleware.Config{
		Verifier: sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
			if token == "bad" {
				return nil, sneck.ErrInvalid
			}
			set, err := scopes.Parse(strings.NewReplacer("+", " ", "-", ":").Replace(token))
			return &sneck.Token{Audience: []string{"https://api.example"}, Scopes: set, VerifiedAt: time.Now()}, err
		}),
		Audience: []string{"https://api.example"},
	})
	require.NoError(tb, err)
	return guard
}

// load is what a program does with a file.
func load(tb testing.TB, file string, data []byte) (*middleware.Routes, error) {
	t, err := yaml.Parse(file, data)
	if err != nil {
		return nil, err
	}
	return t.Guard(newGuard(tb))
}

func TestMistakes(t *testing.T) {
	for _, block := range vectors(t, "testdata/mistakes.txt") {
		t.Run(block.name, func(t *testing.T) {
			routes, err := load(t, "routes.yaml", []byte(block.input))
			require.Error(t, err)
			assert.Nil(t, routes)
			got := err.Error() + "\n"
			if block.name == "not YAML" { // the rest is the parser's
				got = regexp.MustCompile(`(?m)(is not YAML).*`).ReplaceAllString(got, "$1")
			}
			assert.Equal(t, block.want, got)
			var mistake *yaml.Mistake
			assert.ErrorAs(t, err, &mistake)
		})
	}
}

// A table is checked without a guard that could let anybody in.
func TestCheck(t *testing.T) {
	for input, want := range map[string]string{
		open: "",
		"routes: [{route: /a, public: true}, {route: /a, any_token: true}]": "f:1:45: ",
		"routes: [{route: a, public: true}]":                                "f:1:18: ",
	} {
		table, err := yaml.Parse("f", []byte(input))
		require.NoError(t, err)
		if err := table.Check(); want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}

func TestOneDocument(t *testing.T) {
	_, err := yaml.Parse("f", []byte("routes: []\n---\nroutes: []\n"))
	require.EqualError(t, err, "f:2:1: begins another document (hint: remove what begins with ---)")
	_, err = yaml.Parse("f", bytes.Repeat([]byte("a:\n"), 1))
	require.ErrorContains(t, err, `f:1:1: a: is an unknown key`)
	_, err = yaml.Parse("f", []byte("routes: ["+strings.Repeat("{}, ", 1000)+"]"))
	require.ErrorContains(t, err, "\nf: has 900 more mistakes")
	_, err = yaml.Parse("f", bytes.Repeat([]byte(" "), 5<<20))
	require.EqualError(t, err, "f: is longer than 4194304 bytes")
}

// Each line of the table is a request and what becomes of it.
func TestTable(t *testing.T) {
	routes, err := load(t, "routes.yaml", []byte(`
hierarchy:
  admin: [write]
  write: [read]
routes:
  - {route: GET /all, scopes: [read, profile]}
  - {route: GET /either, scopes: [[read, profile], [staff]]}
  - {route: /notes, read_write: {read: notes.read, write: notes.write}}
  - {route: /default, read_write: {}, scopes: [profile]}
  - {route: /songs, resources: [songs]}
  - {route: /methods, methods: {GET HEAD: [read], POST: [[write], [staff]]}}
  - {route: /me, any_token: true, optional: true, name: mine}
  - {route: /other, any_token: true, audience: [https://other.example]}
  - {route: /shadow, scopes: [staff], dangerously_shadow: true}
  - {route: GET /health, public: true}
  - {route: /recent, any_token: true, max_staleness_seconds: 60, acr_values: [gold], max_age_seconds: 300}
`))
	require.NoError(t, err)
	handler := routes.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "in") }))
	for _, test := range []struct {
		method, path, token string
		status              int
		rule                string
	}{
		{"GET", "/all", "read+profile", 200, "GET /all"},
		{"GET", "/all", "admin+profile", 200, "GET /all"},
		{"GET", "/all", "read", 403, "GET /all"},
		{"GET", "/either", "staff", 200, "GET /either"},
		{"GET", "/either", "write+profile", 200, "GET /either"},
		{"GET", "/either", "profile", 403, "GET /either"},
		{"GET", "/notes", "notes.read", 200, "/notes"},
		{"PUT", "/notes", "notes.read", 403, "/notes"},
		{"PUT", "/notes", "notes.write", 200, "/notes"},
		{"GET", "/default", "write+profile", 200, "/default"},
		{"GET", "/default", "write", 403, "/default"},
		{"POST", "/default", "read+profile", 403, "/default"},
		{"GET", "/songs", "songs-read", 200, "/songs"},
		{"DELETE", "/songs", "songs-read", 403, "/songs"},
		{"DELETE", "/songs", "songs-write", 200, "/songs"},
		{"HEAD", "/methods", "read", 200, "/methods"},
		{"POST", "/methods", "read", 403, "/methods"},
		{"POST", "/methods", "staff", 200, "/methods"},
		{"PUT", "/methods", "admin", 403, "/methods"},
		{"GET", "/me", "", 200, "mine"},
		{"GET", "/me", "anything", 200, "mine"},
		{"GET", "/me", "bad", 401, "mine"},
		{"GET", "/other", "read", 401, "/other"},
		{"GET", "/shadow", "read", 200, "/shadow"},
		{"GET", "/health", "", 200, "GET /health"},
		{"POST", "/health", "", 401, ""},
		{"GET", "/recent", "read", 401, "/recent"},
		{"GET", "/elsewhere", "", 401, ""},
		{"GET", "/elsewhere", "admin", 403, ""},
		{"GET", "/all/../me", "", 400, ""},
	} {
		r := httptest.NewRequest(test.method, "http://api.example"+test.path, nil)
		if test.token != "" {
			r.Header.Set("Authorization", "Bearer "+test.token)
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		assert.Equal(t, test.status, rec.Code, "%v: %v", test, routes.Check(r))
		assert.Equal(t, test.rule, routes.Check(r).Rule, "%v", test)
	}
	r := httptest.NewRequest("GET", "/recent", nil)
	r.Header.Set("Authorization", "Bearer read")
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, r)
	assert.Contains(t, rec.Header().Get("WWW-Authenticate"), `acr_values="gold", max_age="300"`)
}

// Half a file that is being written may be a good one.
func TestWatchWaitsForTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "routes.yaml")
		write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
		const old = "routes: [{route: /, any_token: true}]"
		write(old)
		f, err := yaml.Open(newGuard(t), path, nil)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go f.Watch(ctx, time.Second)
		reason := func() middleware.Reason { return f.Check(httptest.NewRequest("GET", "/admin", nil)).Reason }
		const half, rest = "routes:\n- {route: /, public: true}\n", "- {route: /admin, any_token: true}\n"
		time.Sleep(500 * time.Millisecond)
		for range 3 {
			write(half)
			time.Sleep(time.Second) // it is read once
			require.Equal(t, middleware.ReasonNoToken, reason())
			write(half + rest)
			time.Sleep(time.Second)
			require.Equal(t, middleware.ReasonNoToken, reason())
		}
		time.Sleep(time.Second)
		assert.Equal(t, "/admin", f.Check(httptest.NewRequest("GET", "/admin", nil)).Rule)
		write(half)
		require.NoError(t, f.Reload(), "who asks for it has written all of it")
		assert.Equal(t, middleware.ReasonPublic, reason())
	})
}

const open, closed = "routes: [{route: /a, public: true}]", "routes: [{route: /a, any_token: true}]"

// A record is a log that is written and looked at by two goroutines.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

func (r *record) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf.Reset()
}

func TestFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "routes.yaml")
		write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
		_, err := yaml.Open(newGuard(t), path, nil)
		require.ErrorIs(t, err, os.ErrNotExist)
		write("routes: 7")
		_, err = yaml.Open(newGuard(t), path, nil)
		require.EqualError(t, err, path+":1:9: routes: is a number, but should be a list (hint: put it in [ ])")

		write(open)
		var log record
		f, err := yaml.Open(newGuard(t), path, slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, err)
		reason := func() middleware.Reason { return f.Check(httptest.NewRequest("GET", "/a", nil)).Reason }
		require.Equal(t, middleware.ReasonPublic, reason())

		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.Watch(ctx, time.Second)
		}()
		for _, step := range []struct {
			text   string
			reason middleware.Reason
			logged string
		}{
			{open, middleware.ReasonPublic, ""},
			{closed, middleware.ReasonNoToken, "routes replaced"},
			{"routes: [{route: a, public: true}]", middleware.ReasonNoToken, "malformed"},
			{"routes: [", middleware.ReasonNoToken, "is not YAML"},
			{open, middleware.ReasonPublic, "routes replaced"},
		} {
			log.Reset()
			write(step.text)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			assert.Equal(t, step.reason, reason(), step.text)
			assert.Contains(t, log.String(), step.logged)
			if step.logged == "" {
				assert.Empty(t, log.String())
			} else {
				assert.Equal(t, 1, strings.Count(log.String(), "\n"), "said once: %s", log.String())
			}
		}
		log.Reset()
		require.NoError(t, os.Remove(path))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, middleware.ReasonPublic, reason())
		assert.Equal(t, 1, strings.Count(log.String(), "can not be read"), log.String())
		require.ErrorIs(t, f.Reload(), os.ErrNotExist)

		stop()
		<-done
		write(closed)
		require.NoError(t, f.Reload())
		assert.Equal(t, middleware.ReasonNoToken, reason())
		rec := httptest.NewRecorder()
		f.Wrap(http.NotFoundHandler()).ServeHTTP(rec, httptest.NewRequest("GET", "/a", nil))
		assert.Equal(t, http.StatusUnauthorized, rec.Code)
	})
}

// Whatever the file holds: it is read or every mistake has its place, and a
// table that is read refuses who has no token, but on routes that say so.
func FuzzParse(f *testing.F) {
	for _, block := range vectors(f, "testdata/mistakes.txt") {
		f.Add([]byte(block.input))
	}
	f.Add([]byte(open))
	f.Add([]byte(closed))
	guard := newGuard(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := yaml.Parse("f", data)
		if err != nil {
			checkMistakes(t, err)
			return
		}
		routes, err := table.Guard(guard)
		if err != nil {
			return
		}
		open := false
		for _, route := range table.Routes() {
			open = open || route.Public || route.Policy.Optional || route.Policy.DangerouslyShadow
		}
		if d := routes.Check(httptest.NewRequest("GET", "/a", nil)); d.Allowed && !open {
			t.Fatalf("admitted: %v", d)
		}
	})
}

// The files in the documentation are good ones.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/routes.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	require.GreaterOrEqual(t, len(blocks), 2)
	for i, block := range blocks {
		_, err := load(t, fmt.Sprintf("block %d", i), block[1])
		require.NoError(t, err, "%s", block[1])
	}
	for _, key := range []string{"route", "name", "scopes", "read_write", "resources", "methods", "any_token", "public", "optional", "audience",
		"max_staleness_seconds", "always_ask", "sender_constrained", "acr_values", "max_age_seconds", "dangerously_shadow"} {
		assert.Contains(t, string(text), "| `"+key+"` |", "the table of keys")
	}
}

// What is mistaken somewhere in it is flawed, and nothing else.
func TestFlawed(t *testing.T) {
	var c struct {
		Port int            `yaml:"port"`
		Host string         `yaml:"host"`
		Each map[string]int `yaml:"each"`
	}
	s, err := yaml.Decode("f", []byte("port: x\nhost: a\neach: {good: 1, bad: y}\nother: z\n"), &c)
	require.Error(t, err)
	s.Wrong("is taken", "host") // by whoever has decoded it
	flawed := map[string]bool{}
	for _, path := range [][]any{{}, {"port"}, {"host"}, {"each"}, {"each", "good"}, {"each", "bad"}, {"other"}, {"nowhere"}} {
		flawed[fmt.Sprint(path...)] = s.Flawed(path...)
	}
	assert.Equal(t, map[string]bool{
		"": true, "port": true, "host": false, "each": true, "eachgood": false, "eachbad": true, "other": false, "nowhere": false,
	}, flawed)
}
