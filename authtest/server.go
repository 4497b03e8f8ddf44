package authtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// Audience is what the tokens of a [Server] are meant for, unless a test says
// otherwise.
const Audience = "https://api.test"

// Credentials are what a client authenticates with.
type Credentials struct{ ID, Secret string }

// A Server is a real authorization server for tests. It listens on a loopback
// port until the test ends, and keeps everything in memory. All methods are
// safe for concurrent use.
type Server struct {
	// Server answers the requests. It is the sneck.Verifier of its tokens as
	// well, for services in the same process.
	*authserver.Server
	// URL is the issuer, below which the endpoints are.
	URL string
	// Memory has the clients and the tokens.
	Memory *authserver.Memory
	// Client may get tokens by client_credentials.
	Client Credentials
	// ResourceServer may introspect tokens for [Audience].
	ResourceServer Credentials

	scopes         *growing
	keys           keys
	otherKeys      bool // the test has keys of its own
	introspections atomic.Int64
	offset         atomic.Int64
	intercept      atomic.Pointer[http.Handler]
	down           atomic.Bool
	slow           atomic.Int64
	ended          chan struct{} // with the test
}

// NewServer starts a server and stops it when the test ends. Each change may
// alter its config before, all but the issuer.
func NewServer(t testing.TB, change ...func(*authserver.Config)) *Server {
	t.Helper()
	listening := httptest.NewUnstartedServer(nil)
	t.Cleanup(listening.Close)
	memory := authserver.NewMemory()
	s := &Server{
		URL: "http://" + listening.Listener.Addr().String(), Memory: memory,
		scopes: &growing{}, ended: make(chan struct{}),
	}
	t.Cleanup(func() { close(s.ended) })
	s.RotateKeys()
	config := authserver.Config{
		Store: memory, Clients: memory, Scopes: s.scopes, Keys: &s.keys,
		Now: func() time.Time { return time.Now().Add(time.Duration(s.offset.Load())) },
	}
	for _, f := range change {
		f(&config)
	}
	config.Issuer = s.URL
	s.otherKeys = config.Keys != &s.keys
	var err error
	if s.Server, err = authserver.New(config); err != nil {
		t.Fatal(err)
	}
	listening.Config.Handler = http.HandlerFunc(s.serve)
	listening.Start()

	s.Client = s.Register(t, authserver.Client{
		ID: "client", Grants: []string{authserver.GrantClientCredentials}, Audience: []string{Audience},
	})
	s.ResourceServer = s.Register(t, authserver.Client{ID: "api", Introspect: true, Serves: []string{Audience}})
	return s
}

// Introspections returns how many introspection requests have arrived.
func (s *Server) Introspections() int { return int(s.introspections.Load()) }

// Register adds a client, with a secret of its own.
func (s *Server) Register(t testing.TB, c authserver.Client) Credentials {
	t.Helper()
	s.scopes.add(c.Scopes)
	client, secret, err := s.NewClient(t.Context(), c, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Memory.PutClient(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	return Credentials{client.ID, secret}
}

// Token gets a token with the scopes over HTTP, in the way of a client. The
// scopes need not exist before, unless the test has set a scope backend of its
// own.
func (s *Server) Token(t testing.TB, scope ...string) string {
	t.Helper()
	s.allow(t, scope)
	form := url.Values{"grant_type": {authserver.GrantClientCredentials}, "scope": {strings.Join(scope, " ")}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(s.Client.ID), url.QueryEscape(s.Client.Secret))
	token, err := fetch(r)
	if err != nil {
		t.Fatalf("authtest: get a token: %v", err)
	}
	return token
}

func fetch(r *http.Request) (string, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the server answered %s: %s", resp.Status, body)
	}
	err = json.Unmarshal(body, &answer)
	return answer.AccessToken, err
}

// allow makes the scopes known and allowed to the client.
func (s *Server) allow(t testing.TB, names []string) {
	t.Helper()
	s.scopes.mu.Lock()
	defer s.scopes.mu.Unlock()
	s.scopes.addLocked(names)
	c, err := s.Memory.Client(t.Context(), s.Client.ID)
	if err != nil {
		t.Fatal(err)
	}
	if missing := scopes.Set(names).Without(c.Scopes); len(missing) > 0 {
		more := *c
		more.Scopes = append(c.Scopes[:len(c.Scopes):len(c.Scopes)], missing...)
		if err := s.Memory.PutClient(t.Context(), &more); err != nil {
			t.Fatal(err)
		}
	}
}

// growing is a scope backend to which tests add what they need.
type growing struct {
	mu   sync.Mutex
	list scopes.Set
}

func (g *growing) add(names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addLocked(names)
}

func (g *growing) addLocked(names []string) {
	missing := scopes.Set(names).Without(g.list)
	g.list = append(g.list[:len(g.list):len(g.list)], missing...)
}

func (g *growing) All(context.Context) ([]scopes.Described, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]scopes.Described, len(g.list))
	for i, name := range g.list {
		all[i].Name = name
	}
	return all, nil
}

func (g *growing) Available(context.Context, scopes.Request) (scopes.Set, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list, nil
}

func (g *growing) Default(context.Context, scopes.Request) (scopes.Set, error) { return nil, nil }
