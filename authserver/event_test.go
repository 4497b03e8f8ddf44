package authserver_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// A witness keeps all events, and all that was logged.
type witness struct {
	mu     sync.Mutex
	events []authserver.Event
	log    strings.Builder
}

func (o *witness) observe(_ context.Context, e authserver.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

func (o *witness) watch(c *authserver.Config) {
	c.Observe, c.ObserveIntrospections = o.observe, true
	withLog(&o.log)(c)
}

// take returns the events since the last time. Families, which are random,
// become f; what is the same for all of them is checked and left out.
func (o *witness) take(t *testing.T) []authserver.Event {
	t.Helper()
	events := o.events
	o.events = nil
	for i := range events {
		e := &events[i]
		assert.Equal(t, time.UTC, e.Time.Location())
		e.Time = time.Time{}
		if e.Family != "" {
			assert.Len(t, e.Family, 22)
			e.Family = "f"
		}
		if e.Token != "" {
			assert.Len(t, e.Token, 22)
			e.Token = "jti"
		}
	}
	return events
}

func TestEvents(t *testing.T) {
	var (
		from = netip.MustParseAddr("192.0.2.1")
		read = scopes.Set{"read"}
		both = scopes.Set{"read", "write"}
		aud  = []string{api}
		o    witness
	)
	const code, device = authserver.GrantAuthorizationCode, authserver.GrantDeviceCode
	w := newDeviceWorld(t, o.watch)
	expect := func(name string, want ...authserver.Event) {
		t.Helper()
		for i := range want {
			want[i].Address = from
		}
		assert.Equal(t, want, o.take(t), name)
	}

	access := w.issue(t, "app", "")
	expect("issue", authserver.Event{Kind: "token_issued", Client: "app", Subject: "app", Grant: "client_credentials", Scopes: read, Audience: aud, Token: "jti"})
	introspected := w.post("/introspect", "token="+access, as("api")...)
	expect("introspect", authserver.Event{Kind: "token_introspected", Client: "api", Subject: "app", Scopes: read, Audience: aud, Token: "jti"})
	assert.Equal(t, inactive, w.post("/introspect", "token=x", as("api")...))
	expect("introspect garbage")
	w.post("/revoke", "token="+access, as("app")...)
	expect("revoke", authserver.Event{Kind: "token_revoked", Client: "app", Subject: "app", Scopes: read, Audience: aud, Token: "jti", Reason: "access", Count: 1})
	w.post("/revoke", "token="+access, as("app")...)
	expect("revoke again")

	approved := authserver.Event{Kind: "authorization_approved", Client: "web", Subject: "user-1", Grant: code, Scopes: both, Audience: aud, Family: "f"}
	firstIssued := authserver.Event{Kind: "token_issued", Client: "web", Subject: "user-1", Grant: code, Scopes: both, Audience: aud, Token: "jti", Family: "f"}
	refreshed, reused := firstIssued, firstIssued
	refreshed.Kind, refreshed.Grant = "token_refreshed", "refresh_token"
	reused.Kind, reused.Grant, reused.Reason, reused.Count = "reuse_detected", "", "refresh", 5
	authorizationCode := w.code(t, "web")
	expect("approve", approved)
	pair := w.pair(t, exchange(authorizationCode), as("web")...)
	expect("code", firstIssued)
	next := w.pair(t, refresh(pair.Refresh), as("web")...)
	expect("refresh", refreshed)
	w.post("/token", refresh(pair.Refresh), as("web")...)
	expect("reuse", reused)
	authorizationCode = w.code(t, "web")
	w.pair(t, exchange(authorizationCode), as("web")...)
	w.post("/token", exchange(authorizationCode), as("web")...)
	reused.Reason, reused.Count = "code", 3
	expect("code again", approved, firstIssued, reused)

	failed := authserver.Event{Kind: "authentication_failed", Client: "app", Reason: "client authentication failed"}
	w.post("/token", credentialsGrant, basic("app", "wr0ng-s3cret")...)
	expect("wrong secret", failed)
	failed.Client = ""
	w.post("/token", credentialsGrant, basic(secret, "app")...) // the wrong way round
	expect("unknown client", failed)
	failed.Reason = "the client does not authenticate"
	w.post("/token", credentialsGrant+"&client_id=h1dden")
	expect("no secret", failed)
	failed.Reason = "the token is not valid here"
	w.post("/introspect", "token=x", "Authorization", "Bearer "+next.Access)
	expect("wrong token", failed)

	d := w.device(t)
	requested := authserver.Event{Kind: "device_requested", Client: "tv", Grant: device, Scopes: both, Audience: aud, Family: "f"}
	expect("device", requested)
	w.decide(d.UserCode, "approve=1")
	decided := authserver.Event{Kind: "device_approved", Client: "tv", Subject: "user-1", Grant: device, Scopes: both, Audience: aud, Family: "f"}
	expect("device approved", decided)
	assert.Equal(t, 200, w.poll(d).status)
	firstIssued.Client, firstIssued.Grant = "tv", device
	expect("device gets its tokens", firstIssued)
	refusedDevice := w.device(t)
	w.decide(refusedDevice.UserCode, "deny=1")
	decided.Kind = "device_denied"
	expect("device denied", requested, decided)

	// What nobody should know is in no line of the log either.
	for _, hidden := range []string{
		secret, "s3cr3t", access, pair.Access, pair.Refresh, next.Access, next.Refresh, authorizationCode, verifier,
		d.Code, d.UserCode, refusedDevice.UserCode, "wr0ng-s3cret", "h1dden",
	} {
		assert.NotContains(t, o.log.String(), hidden)
	}
	assert.Contains(t, introspected.body, `"jti":"`)
}

// The events name a token as introspection does.
func TestEventsNameTokensLikeIntrospection(t *testing.T) {
	var o witness
	w := newWorld(t, o.watch)
	access := w.issue(t, "app", "")
	require.Len(t, o.events, 1)
	assert.Equal(t, epoch, o.events[0].Time)
	assert.Contains(t, w.post("/introspect", "token="+access, as("api")...).body, `"jti":"`+o.events[0].Token+`"`)
}

// Nothing that is sent, stored or answered turns up in an event: neither the
// secrets of a whole run, nor what is derived from them to find them.
func TestEventsHoldNoSecret(t *testing.T) {
	var o witness
	var events strings.Builder
	w := newDeviceWorld(t, o.watch, func(c *authserver.Config) {
		observe := c.Observe
		c.Observe = func(ctx context.Context, e authserver.Event) {
			observe(ctx, e)
			assert.NoError(t, json.NewEncoder(&events).Encode(e))
		}
		c.SecretPeppers = [][]byte{[]byte("a pepper of the test")}
		c.Limits.Failures.Client = rate(2)
	})
	var hidden []string
	hide := func(r reply) reply {
		var members map[string]any
		if json.Unmarshal([]byte(r.body), &members) == nil {
			for _, name := range []string{"access_token", "refresh_token", "device_code", "user_code"} {
				if s, ok := members[name].(string); ok {
					hidden = append(hidden, s)
				}
			}
		}
		return r
	}
	hide(w.post("/token", credentialsGrant, as("app")...))
	code := w.code(t, "web")
	hide(w.post("/token", exchange(code), as("web")...))
	refreshToken := hidden[len(hidden)-1]
	hide(w.post("/token", refresh(refreshToken), as("web")...))
	hide(w.post("/token", refresh(refreshToken), as("web")...))
	hide(w.post("/device_authorization", "client_id=tv"))
	w.decide(hidden[len(hidden)-1], "approve=1")
	hide(w.post("/device_authorization", "client_id=tv"))
	get(w, issuer+"/device?user_code=WRNG-GSSS")
	for _, form := range []string{"client_id=" + hidden[0], "client_id=app&client_secret=" + hidden[0], "client_id=app&client_secret=x"} {
		w.post("/token", credentialsGrant+"&"+form)
		w.post("/revoke", "token="+hidden[0]+"&"+form)
		w.post("/introspect", "token="+hidden[0]+"&"+form)
	}
	w.ask("web", "state", "st4te", "scope", "adm1n", "login_hint", "h1nt")
	c, plain, err := w.NewClient(t.Context(), authserver.Client{}, true)
	require.NoError(t, err)
	registry := authserver.ObserveClients(w.memory, func(ctx context.Context, e authserver.Event) error {
		return json.NewEncoder(&events).Encode(e)
	})
	require.NoError(t, registry.PutClient(t.Context(), c))
	hidden = append(hidden, code, secret, plain, c.Secrets[0].Hash, verifier, s256(verifier), "WRNG", "st4te", "adm1n", "h1nt", "a pepper of the test")
	for _, h := range hidden {
		key := authserver.KeyOf(h)
		for _, text := range []string{events.String(), o.log.String()} {
			assert.NotContains(t, text, h)
			assert.NotContains(t, text, hex.EncodeToString(key[:]))
		}
	}
	for _, kind := range []string{"token_issued", "token_refreshed", "reuse_detected", "authentication_failed", "rate_limited", "device_approved", "secret_upgraded", "client_created"} {
		assert.Contains(t, events.String(), `"kind":"`+kind+`"`)
	}
}

func TestEventsOfConsent(t *testing.T) {
	var o witness
	w := newCodeWorld(t, o.watch, func(c *authserver.Config) {
		c.Login = func(_ http.ResponseWriter, _ *http.Request, a *authserver.AuthorizationRequest) (*authserver.Approval, error) {
			switch a.LoginHint {
			case "denies":
				return nil, authserver.ErrAccessDenied
			case "nobody":
				return nil, authserver.ErrLoginRequired
			case "none of it":
				return &authserver.Approval{Subject: "user-1", Scopes: scopes.Set{"other"}}, nil
			}
			return &authserver.Approval{Subject: "user-1", Scopes: scopes.Set{"read"}}, nil
		}
	})
	from := netip.MustParseAddr("192.0.2.1")
	denied := authserver.Event{
		Kind: "authorization_denied", Client: "web", Grant: "authorization_code", Scopes: scopes.Set{"read", "write"}, Audience: []string{api}, Address: from,
	}
	approved := denied
	approved.Kind, approved.Subject, approved.Scopes, approved.Family = "authorization_approved", "user-1", scopes.Set{"read"}, "f"
	for _, hint := range []string{"denies", "nobody", "none of it", "approves"} {
		w.ask("web", "login_hint", hint)
	}
	assert.Equal(t, []authserver.Event{denied, denied, approved}, o.take(t))
}

func TestEventsOfLimits(t *testing.T) {
	var o witness
	w := newWorld(t, o.watch, strict, func(c *authserver.Config) {
		c.Limits.Token = authserver.EndpointLimit{Client: rate(1), Address: rate(4)}
	})
	for range 10 {
		w.from(here, "/token", credentialsGrant, as("app")...)
	}
	from := netip.MustParseAddr("192.0.2.1")
	assert.Equal(t, []authserver.Event{
		{Kind: "rate_limited", Client: "app", Address: from, Reason: "token.client"},
		{Kind: "rate_limited", Address: from, Reason: "token.address"},
	}, o.take(t)[1:], "each once, not ten times")
	w.now = epoch.Add(time.Minute)
	for range 10 {
		w.from(here, "/token", credentialsGrant, as("app")...)
	}
	assert.Len(t, o.take(t), 3, "and again in the next minute")

	for range 20 {
		w.from(here, "/revoke", "token=x", basic("other app", "wrong")...)
	}
	count := map[authserver.EventKind]int{}
	for _, e := range o.take(t) {
		count[e.Kind]++
	}
	assert.Equal(t, map[authserver.EventKind]int{"authentication_failed": 10, "rate_limited": 1}, count, "what is limited fills no log")
}

func TestEventsOfSweepAndUpgrade(t *testing.T) {
	var o witness
	w := newWorld(t, o.watch)
	_, err := w.DeleteExpired(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, o.take(t), "nothing was there")
	fill(t, w.memory, 3, epoch.Add(-time.Hour))
	_, err = w.DeleteExpired(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, []authserver.Event{{Kind: "swept", Count: 3}}, o.take(t))

	withHash(t, w, django(t, "correct horse", 1000))
	w.post("/revoke", "token=x", basic("c", "correct horse")...)
	w.post("/revoke", "token=x", basic("c", "correct horse")...)
	assert.Equal(t, []authserver.Event{{Kind: "secret_upgraded", Client: "c"}}, o.take(t))
}

// plainRegistry can not upgrade secrets.
type plainRegistry struct{ authserver.ClientRegistry }

func TestObserveClients(t *testing.T) {
	var events []authserver.Event
	var failure error
	observe := func(_ context.Context, e authserver.Event) error {
		assert.WithinDuration(t, time.Now(), e.Time, time.Minute)
		e.Time = time.Time{}
		events = append(events, e)
		return failure
	}
	m := authserver.NewMemory()
	r := authserver.ObserveClients(m, observe)
	c := &authserver.Client{ID: "c", Scopes: scopes.Set{"read"}, Secrets: []authserver.Secret{{Hash: authserver.HashGenerated("x")}}}
	require.NoError(t, r.PutClient(t.Context(), c))
	require.NoError(t, r.PutClient(t.Context(), c))
	require.Error(t, r.PutClient(t.Context(), &authserver.Client{}))
	require.NoError(t, r.DeleteClient(t.Context(), "c"))
	require.NoError(t, r.DeleteClient(t.Context(), "c"))
	assert.Equal(t, []authserver.Event{
		{Kind: "client_created", Client: "c", Scopes: scopes.Set{"read"}}, {Kind: "client_changed", Client: "c", Scopes: scopes.Set{"read"}},
		{Kind: "client_deleted", Client: "c"},
	}, events)
	failure = errBroken
	require.ErrorIs(t, r.PutClient(t.Context(), c), errBroken)
	require.ErrorIs(t, r.DeleteClient(t.Context(), "c"), errBroken)

	upgrader, ok := r.(authserver.SecretUpgrader)
	require.True(t, ok)
	require.ErrorIs(t, upgrader.UpgradeSecret(t.Context(), "nobody", "", ""), authserver.ErrNotFound)
	require.ErrorIs(t, r.PutClient(t.Context(), c), errBroken)
	events, failure = nil, nil
	changer, ok := r.(authserver.ClientChanger)
	require.True(t, ok)
	change := func(c *authserver.Client) (*authserver.Client, error) {
		changed := *c
		changed.Scopes = scopes.Set{"write"}
		return &changed, failure
	}
	require.NoError(t, changer.ChangeClient(t.Context(), "c", change))
	require.ErrorIs(t, changer.ChangeClient(t.Context(), "nobody", change), authserver.ErrNotFound)
	assert.Equal(t, []authserver.Event{{Kind: "client_changed", Client: "c", Scopes: scopes.Set{"write"}}}, events)
	failure = errBroken
	require.ErrorIs(t, changer.ChangeClient(t.Context(), "c", change), errBroken)
	assert.Len(t, events, 1, "nothing was changed")

	for _, test := range []struct {
		registry          authserver.ClientRegistry
		changes, upgrades bool
	}{
		{m, true, true},
		{plainRegistry{m}, false, false},
		{struct{ authserver.ClientChanger }{m}, true, false},
		{struct {
			authserver.ClientRegistry
			authserver.SecretUpgrader
		}{m, m}, false, true},
	} {
		observed := authserver.ObserveClients(test.registry, observe)
		_, changes := observed.(authserver.ClientChanger)
		_, upgrades := observed.(authserver.SecretUpgrader)
		assert.Equal(t, []bool{test.changes, test.upgrades}, []bool{changes, upgrades}, "%T", test.registry)
	}
}

// A disk is full for a while: either all goes on and it is said how much is
// missing, or nothing is done that can not be recorded.
func TestAudit(t *testing.T) {
	var full bool
	var lines []authserver.Event
	var log strings.Builder
	open := func(required bool) *world {
		full, lines = false, nil
		log.Reset()
		return newCodeWorld(t, withLog(&log), func(c *authserver.Config) {
			c.AuditRequired = required
			c.Audit = func(ctx context.Context, e authserver.Event) error {
				assert.NoError(t, ctx.Err(), "it is recorded even if the client has gone")
				if full {
					return errBroken
				}
				lines = append(lines, authserver.Event{Kind: e.Kind, Count: e.Count})
				return nil
			}
		})
	}
	cancelled := func(r *http.Request) *http.Request {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		return r.WithContext(ctx)
	}

	w := open(false)
	send(w, cancelled(request("/introspect", "token=x", basic("app", "wrong")...)))
	lines = nil
	full = true
	for range 3 {
		assert.Equal(t, 200, w.post("/token", credentialsGrant, as("app")...).status)
	}
	full = false
	w.post("/token", credentialsGrant, as("app")...)
	assert.Equal(t, []authserver.Event{{Kind: "audit_lost", Count: 3}, {Kind: "token_issued"}}, lines)
	assert.Equal(t, 1, strings.Count(log.String(), `level=ERROR msg="audit failed, events are lost" cause="the disk is gone"`), "loudly, but not for each")

	down := refusal(503, "temporarily_unavailable", "the server can not answer at the moment")
	w = open(true)
	p := w.login(t, "web")
	full = true
	assert.Equal(t, down, w.post("/token", credentialsGrant, as("app")...), "the first one notices it")
	assert.Equal(t, down, w.post("/token", refresh(p.Refresh), as("web")...))
	assert.Equal(t, down, w.post("/revoke", "token="+p.Access, as("web")...))
	assert.Equal(t, 503, w.ask("web").status)
	assert.Equal(t, 503, get(w, issuer+"/device?user_code=x").status)
	assert.Equal(t, 200, w.post("/introspect", "token="+p.Access, as("api")...).status, "nothing has to be recorded of this")
	assert.True(t, w.live(t, p), "nothing was done")
	full, lines = false, nil
	w.pair(t, refresh(p.Refresh), as("web")...) // nor spent
	assert.Equal(t, []authserver.Event{{Kind: "audit_lost", Count: 1}, {Kind: "token_refreshed"}}, lines)

	// Each kind of answer that the first failure may meet.
	for name, do := range map[string]func(*world, pair) int{
		"revoke":     func(w *world, p pair) int { return w.post("/revoke", "token="+p.Access, as("web")...).status },
		"refresh":    func(w *world, p pair) int { return w.post("/token", refresh(p.Refresh), as("web")...).status },
		"authorize":  func(w *world, _ pair) int { return errorStatus(w.ask("web")) },
		"introspect": func(w *world, p pair) int { return w.post("/introspect", "token="+p.Access, as("api")...).status },
	} {
		w := open(true)
		p := w.login(t, "web")
		full = true
		want := 503
		if name == "introspect" {
			want = 200
		}
		assert.Equal(t, want, do(w, p), name)
	}

	m := authserver.NewMemory()
	_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, AuditRequired: true})
	require.EqualError(t, err, "authserver: AuditRequired without Audit (hint: package authserver/audit)")
}

// errorStatus returns 503 for a redirect that says so.
func errorStatus(r reply) int {
	if strings.Contains(r.header.Get("Location"), "error=temporarily_unavailable") {
		return 503
	}
	return r.status
}

// The list of kinds has those that there are.
func TestEventKinds(t *testing.T) {
	source, err := os.ReadFile("event.go")
	require.NoError(t, err)
	var kinds []authserver.EventKind
	for _, constant := range regexp.MustCompile(`EventKind = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		kinds = append(kinds, authserver.EventKind(constant[1]))
	}
	assert.ElementsMatch(t, kinds, authserver.EventKinds())
}
