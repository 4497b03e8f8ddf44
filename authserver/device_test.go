package authserver_test

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// newDeviceWorld has a public client "tv" and one with a secret, "box".
func newDeviceWorld(t *testing.T, change ...func(*authserver.Config)) *world {
	t.Helper()
	w := newCodeWorld(t, change...)
	for _, c := range []authserver.Client{
		{ID: "tv", Name: "<b>TV</b>"},
		{ID: "box", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}},
	} {
		c.Scopes, c.Audience = scopes.Set{"read", "write"}, []string{api}
		c.Grants = []string{authserver.GrantDeviceCode, authserver.GrantRefreshToken}
		require.NoError(t, w.memory.PutClient(t.Context(), &c))
	}
	return w
}

type device struct {
	Code     string `json:"device_code"`
	UserCode string `json:"user_code"`
	URI      string `json:"verification_uri"`
	Complete string `json:"verification_uri_complete"`
	Expires  int    `json:"expires_in"`
	Interval int
}

func (w *world) device(t *testing.T) device {
	t.Helper()
	got := w.post("/device_authorization", "client_id=tv&scope=read+write")
	require.Equal(t, 200, got.status, got.body)
	var d device
	require.NoError(t, unmarshal(got.body, &d))
	return d
}

func (w *world) poll(d device) reply {
	return w.post("/token", url.Values{
		"grant_type": {authserver.GrantDeviceCode}, "device_code": {d.Code}, "client_id": {"tv"},
	}.Encode())
}

// decide sends the form of the page, as a browser would.
func (w *world) decide(userCode, form string, header ...string) reply {
	return send(w, request("/device?user_code="+url.QueryEscape(userCode), form, append(header, "Origin", issuer)...))
}

var (
	pending = refusal(400, "authorization_pending", "the user has not decided yet")
	slow    = refusal(400, "slow_down", "wait five seconds longer between two requests")
)

func TestAR11_DeviceAuthorization(t *testing.T) {
	w := newDeviceWorld(t)
	d := w.device(t)
	assert.Regexp(t, `^sneck_dc_[0-9A-Za-z]{49}$`, d.Code)
	assert.Regexp(t, `^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$`, d.UserCode)
	assert.Equal(t, device{d.Code, d.UserCode, issuer + "/device", issuer + "/device?user_code=" + d.UserCode, 600, 5}, d)

	assert.Equal(t, 200, w.post("/device_authorization", "", as("box")...).status)
	assert.Equal(t, refusal(401, "invalid_client", "the client does not authenticate"), w.post("/device_authorization", "client_id=box"))
	assert.Equal(t, refusal(400, "unauthorized_client", "the client may not use this grant type"), w.post("/device_authorization", "client_id=spa"))
	assert.Equal(t, refusal(400, "invalid_scope", "a scope is unknown or not allowed to the client"), w.post("/device_authorization", "client_id=tv&scope=admin"))
	assert.Equal(t, refusal(400, "invalid_target", "the client may not ask for this resource"), w.post("/device_authorization", "client_id=tv&resource=https://x.example.com"))
	assert.Contains(t, get(w, issuer+"/.well-known/oauth-authorization-server").body, `"device_authorization_endpoint":"https://auth.example.com/device_authorization"`)

	without := newWorld(t)
	assert.Equal(t, 404, without.post("/device_authorization", "client_id=tv").status)
	assert.Equal(t, 404, get(without, issuer+"/device").status)
	down := newDeviceWorld(t, func(c *authserver.Config) { c.Store = failingStore{} })
	assert.Equal(t, 503, down.post("/device_authorization", "client_id=tv").status)
}

func TestAR12_DeviceFlow(t *testing.T) {
	w := newDeviceWorld(t)
	d := w.device(t)
	assert.Equal(t, pending, w.poll(d))

	page := get(w, d.Complete)
	assert.Equal(t, 200, page.status)
	assert.Equal(t, pages("Content-Type", "text/html; charset=utf-8",
		"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"), page.header)
	assert.Contains(t, page.body, "<b>&lt;b&gt;TV&lt;/b&gt;</b> wants access: read, write.")
	assert.Contains(t, page.body, d.UserCode)
	w.now = w.now.Add(5 * time.Second)
	assert.Equal(t, pending, w.poll(d), "to have looked at the page is not to approve")
	assert.Equal(t, 403, w.decide(d.UserCode, "approve=1", "Sec-Fetch-Site", "cross-site").status)

	assert.Contains(t, w.decide(d.UserCode, "approve=1").body, "The device is connected.")
	assert.Equal(t, 404, w.decide(d.UserCode, "approve=1").status, "once")

	got := w.poll(d)
	require.Equal(t, 200, got.status, got.body)
	var p pair
	require.NoError(t, unmarshal(got.body, &p))
	token, err := w.Verify(t.Context(), p.Access)
	require.NoError(t, err)
	assert.Equal(t, "user-1", token.Subject)
	assert.Equal(t, "tv", token.ClientID)
	assert.Equal(t, "alice", token.Username)
	p = w.pair(t, refresh(p.Refresh, "client_id", "tv"))

	// A device code that is used again is like any other code.
	assert.Equal(t, refusedGrant, w.poll(d))
	assert.False(t, w.live(t, p))
}

func TestAR12_DeviceIsRefused(t *testing.T) {
	w := newDeviceWorld(t)
	d := w.device(t)
	assert.Contains(t, w.decide(d.UserCode, "deny=1").body, "The device was refused.")
	assert.Equal(t, refusal(400, "access_denied", "the user does not approve"), w.poll(d))
	assert.Equal(t, 404, w.decide(d.UserCode, "approve=1").status, "it can not be undone")

	w = newDeviceWorld(t, func(c *authserver.Config) {
		c.Login = func(http.ResponseWriter, *http.Request, *authserver.AuthorizationRequest) (*authserver.Approval, error) {
			return nil, authserver.ErrAccessDenied
		}
	})
	d = w.device(t)
	w.decide(d.UserCode, "approve=1")
	assert.Equal(t, refusal(400, "access_denied", "the user does not approve"), w.poll(d))
}

func TestAR12_SlowDown(t *testing.T) {
	w := newDeviceWorld(t)
	d, other := w.device(t), w.device(t)
	for _, step := range []struct {
		after time.Duration
		want  reply
	}{
		{0, pending},
		{5 * time.Second, pending},
		{time.Second, slow}, // the interval is 10 seconds now
		{5 * time.Second, slow},
		{15 * time.Second, pending},
	} {
		w.now = w.now.Add(step.after)
		assert.Equal(t, step.want, w.poll(d), step.after)
	}
	assert.Equal(t, pending, w.poll(other), "each device has its own interval")
}

func TestAR12_DeviceCodeIsBoundAndExpires(t *testing.T) {
	w := newDeviceWorld(t)
	d := w.device(t)
	form := url.Values{"grant_type": {authserver.GrantDeviceCode}, "device_code": {d.Code}}.Encode()
	assert.Equal(t, refusedGrant, w.post("/token", form, as("box")...))
	assert.Equal(t, refusedGrant, w.poll(device{Code: "x"}))
	assert.Equal(t, refusal(400, "invalid_request", "device_code is missing"), w.poll(device{}))

	w.decide(d.UserCode, "approve=1")
	late := w.device(t)
	w.now = epoch.Add(10*time.Minute - 1)
	assert.Equal(t, 200, w.poll(d).status)
	w.now = epoch.Add(10 * time.Minute)
	assert.Equal(t, refusal(400, "expired_token", "the device code has expired"), w.poll(late))
	assert.Equal(t, 404, w.decide(late.UserCode, "approve=1").status)

	m := authserver.NewMemory()
	for _, ttl := range []time.Duration{-1, time.Hour + time.Second, 1500 * time.Millisecond} {
		_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, DeviceCodeTTL: ttl})
		require.ErrorContains(t, err, "DeviceCodeTTL")
	}
}

func TestDevicePage(t *testing.T) {
	w := newDeviceWorld(t)
	d := w.device(t)
	assert.Contains(t, get(w, d.URI).body, `<input name="user_code"`)
	typed := " " + string(d.UserCode[0]|0x20) + d.UserCode[1:4] + " " + d.UserCode[5:]
	assert.Contains(t, get(w, d.URI+"?user_code="+url.QueryEscape(typed)).body, "wants access", "as people type")
	assert.Equal(t, 400, get(w, d.URI+"?user_code=a&user_code=b").status)

	wrong := get(w, d.URI+"?user_code=BBBB-BBBB")
	assert.Equal(t, 404, wrong.status)
	assert.Contains(t, wrong.body, "not valid any more")
}

func TestDeviceCodeIsSpentOnceUnderConcurrency(t *testing.T) {
	w := newDeviceWorld(t)
	d := w.device(t)
	var decided, won atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if w.decide(d.UserCode, "approve=1").status == 200 {
				decided.Add(1)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, decided.Load())
	for range 32 {
		wg.Go(func() {
			if got := w.poll(d); got.status == 200 {
				won.Add(1)
			} else {
				assert.Equal(t, refusedGrant, got)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, won.Load())
}
