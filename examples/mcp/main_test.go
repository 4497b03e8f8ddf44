package main

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/scopes"
)

const callback = "http://127.0.0.1/callback"

// A user sits in front of the browser.
type user struct {
	approves scopes.Set

	mu    sync.Mutex
	asked []string // the scopes of each visit
}

// login approves of what the client asks for, as far as the user does.
func (u *user) login(_ http.ResponseWriter, _ *http.Request, a *authserver.AuthorizationRequest) (*authserver.Approval, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, strings.Join(slices.Sorted(slices.Values(a.Scopes)), " "))
	granted := slices.DeleteFunc(slices.Clone(a.Scopes), func(s string) bool { return !u.approves.Has(s) })
	if len(granted) == 0 {
		return nil, authserver.ErrAccessDenied
	}
	return &authserver.Approval{Subject: "alice", Scopes: granted}, nil
}

// A real MCP client logs in with nothing but the URL of the server and its
// registration: it finds the resource metadata by the challenge, the
// authorization server by these, and gets a token for this server with PKCE.
func TestClientLogsIn(t *testing.T) {
	u := &user{approves: scopes.Set{"songs:read", "songs:write"}}
	srv, endpoint := start(t, u)
	visits, session := connect(t, srv, endpoint)

	tools, err := session.ListTools(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, tools.Tools, 2)
	assert.Equal(t, "Imagine, Yesterday", call(t, session, "list_songs", nil))
	assert.Equal(t, `alice has deleted "Imagine"`, call(t, session, "delete_song", map[string]any{"title": "Imagine"}))
	assert.Equal(t, "Imagine, Yesterday", call(t, session, "list_songs", nil))

	// The client asks for more only when a tool needs it, and keeps what it has.
	assert.Equal(t, []string{"songs:read", "songs:read songs:write"}, u.asked)
	require.Len(t, *visits, 2)
	for _, visit := range *visits {
		assert.Equal(t, endpoint, visit.Get("resource"))
		assert.Equal(t, "S256", visit.Get("code_challenge_method"))
	}
	assert.LessOrEqual(t, srv.Introspections(), 4, "each token is asked about once, but for a renewal in between")
}

// A user who does not let the client delete is asked once, and the client is
// told.
func TestClientIsRefused(t *testing.T) {
	u := &user{approves: scopes.Set{"songs:read"}}
	srv, endpoint := start(t, u)
	_, session := connect(t, srv, endpoint)
	assert.Equal(t, "Imagine, Yesterday", call(t, session, "list_songs", nil))
	_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "delete_song", Arguments: map[string]any{"title": "Imagine"}})
	require.ErrorContains(t, err, "Forbidden")
	assert.Equal(t, "songs:read songs:write", u.asked[len(u.asked)-1])
	assert.LessOrEqual(t, len(u.asked), 3)
}

// start runs the program, and the authorization server that it asks.
func start(t *testing.T, u *user) (srv *authtest.Server, endpoint string) {
	program := filepath.Join(t.TempDir(), "program")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	listen := freeAddress(t)
	endpoint = "http://" + listen + "/mcp"

	srv = authtest.NewServer(t, func(c *authserver.Config) {
		c.Scopes = scopes.Static{List: []scopes.Described{{Name: "songs:read"}, {Name: "songs:write"}}}
		c.Login = u.login
	})
	api := srv.Register(t, authserver.Client{ID: "songs", Introspect: true, Serves: []string{endpoint}})
	chat, _, err := srv.NewClient(t.Context(), authserver.Client{
		ID: "chat", Grants: []string{authserver.GrantAuthorizationCode, authserver.GrantRefreshToken},
		RedirectURIs: []string{callback}, Scopes: scopes.Set{"songs:read", "songs:write"}, Resources: []string{endpoint},
	}, false)
	require.NoError(t, err)
	require.NoError(t, srv.Memory.PutClient(t.Context(), chat))

	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), "ISSUER="+srv.URL, "INTROSPECTION_SECRET="+api.Secret, "RESOURCE="+endpoint, "LISTEN="+listen)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			t.Log(lines.Text())
		}
	}()
	waitFor(t, listen)
	return srv, endpoint
}

// connect returns a session, and the parameters of each visit to the
// authorization endpoint.
func connect(t *testing.T, srv *authtest.Server, endpoint string) (*[]url.Values, *mcp.ClientSession) {
	var visits []url.Values
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: "chat", Issuer: srv.URL},
		RedirectURL:         callback,
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, args.URL, nil)
			if err != nil {
				return nil, err
			}
			resp, err := browser.Do(r)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			visits = append(visits, r.URL.Query())
			back, err := resp.Location()
			if err != nil || !strings.HasPrefix(back.String(), callback+"?") {
				return nil, errors.Join(errors.New("no redirect to the client"), err)
			}
			q := back.Query()
			if q.Has("error") {
				return nil, errors.New(q.Get("error") + ": " + q.Get("error_description"))
			}
			return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
		},
	})
	require.NoError(t, err)
	client := mcp.NewClient(&mcp.Implementation{Name: "chat", Version: "1.0.0"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: endpoint, OAuthHandler: handler}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return &visits, session
}

func call(t *testing.T, session *mcp.ClientSession, tool string, arguments map[string]any) string {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	require.NoError(t, err)
	require.Len(t, result.Content, 1)
	return result.Content[0].(*mcp.TextContent).Text
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func waitFor(t *testing.T, address string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the program does not listen")
		}
	}
}
