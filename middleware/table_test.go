package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

const audience = "https://api.example"

// now is the moment at which every test takes place that needs no clock.
var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// token returns a good token with the given scopes.
func token(scope string) *sneck.Token {
	return &sneck.Token{
		Issuer:     "https://as.example",
		Subject:    "ann",
		ClientID:   "app",
		Audience:   []string{"https://other.example", audience},
		Scopes:     scopes.MustParse(scope),
		Expires:    now.Add(time.Hour),
		VerifiedAt: now,
	}
}

// with returns a good token that was changed.
func with(change func(*sneck.Token)) *sneck.Token {
	t := token("read")
	change(t)
	return t
}

// verdicts are what the verifier of the table says about tokens by name; an
// unlisted token is invalid.
var verdicts = map[string]any{
	"none":          token(""),
	"read":          token("read"),
	"write":         token("write"),
	"read-write":    token("read write"),
	"admin":         token("admin"),
	"reader":        token("reader"),
	"READ":          token("READ"),
	"expired-now":   with(func(t *sneck.Token) { t.Expires = now }),
	"expires-soon":  with(func(t *sneck.Token) { t.Expires = now.Add(time.Nanosecond) }),
	"expired":       with(func(t *sneck.Token) { t.Expires = now.Add(-time.Hour) }),
	"no-expiry":     with(func(t *sneck.Token) { t.Expires = time.Time{} }),
	"not-yet":       with(func(t *sneck.Token) { t.NotBefore = now.Add(time.Nanosecond) }),
	"just-now":      with(func(t *sneck.Token) { t.NotBefore = now }),
	"sibling":       with(func(t *sneck.Token) { t.Audience = []string{"https://sibling.example"} }),
	"longer-aud":    with(func(t *sneck.Token) { t.Audience = []string{audience + ".evil"} }),
	"shorter-aud":   with(func(t *sneck.Token) { t.Audience = []string{audience[:len(audience)-1]} }),
	"aud-case":      with(func(t *sneck.Token) { t.Audience = []string{"https://API.example"} }),
	"aud-slash":     with(func(t *sneck.Token) { t.Audience = []string{audience + "/"} }),
	"songs-read":    token("songs:read"),
	"songs-write":   token("songs:write"),
	"read-songs":    token("read songs"),
	"no-aud":        with(func(t *sneck.Token) { t.Audience = nil }),
	"empty-aud":     with(func(t *sneck.Token) { t.Audience = []string{""} }),
	"jkt":           with(func(t *sneck.Token) { t.Confirmation = &sneck.Confirmation{JKT: "x"} }),
	"x5t":           with(func(t *sneck.Token) { t.Confirmation = &sneck.Confirmation{X5TS256: "x"} }),
	"cnf-unknown":   with(func(t *sneck.Token) { t.Confirmation = &sneck.Confirmation{Unknown: true} }),
	"cnf-empty":     with(func(t *sneck.Token) { t.Confirmation = &sneck.Confirmation{} }),
	"unrecognized":  sneck.ErrUnrecognized,
	"revoked":       fmt.Errorf("it was revoked: %w", sneck.ErrInvalid),
	"down":          errors.New("connection refused"),
	"down-3s":       &sneck.UnavailableError{Err: errors.New("busy"), RetryAfter: 2001 * time.Millisecond},
	"down-wrapped":  fmt.Errorf("cache: %w", &sneck.UnavailableError{Err: errors.New("busy"), RetryAfter: 7 * time.Second}),
	"down-unknown":  &sneck.UnavailableError{Err: errors.New("busy")},
	"down-for-days": &sneck.UnavailableError{Err: errors.New("busy"), RetryAfter: 72 * time.Hour},
	"timeout":       context.DeadlineExceeded,
	"nothing":       nil,
	"panic":         "panic",
	"abort":         http.ErrAbortHandler,
}

type tableVerifier struct{}

func (tableVerifier) Verify(_ context.Context, name string) (*sneck.Token, error) {
	if !sneck.ValidToken(name) {
		return nil, sneck.ErrInvalid
	}
	switch v, ok := verdicts[name]; v := v.(type) {
	case *sneck.Token:
		return v, nil
	case error:
		if v == http.ErrAbortHandler {
			panic(v)
		}
		return nil, v
	case string:
		panic("the secret is " + name)
	default:
		if ok {
			return nil, nil
		}
		return nil, sneck.ErrInvalid
	}
}

// The complete answers that the table expects.
const (
	admitted     = "200\nContent-Type: text/plain\nX-Handler: subject=ann\n\nhello"
	anonymous    = "200\nContent-Type: text/plain\nX-Handler: subject=\n\nhello"
	admittedHead = "200\nContent-Type: text/plain\nX-Handler: subject=ann\n\n"

	bare     = "401\nCache-Control: no-store\nWww-Authenticate: Bearer realm=\"api\"\n\n"
	invalid  = "401\nCache-Control: no-store\nContent-Type: application/json\nWww-Authenticate: Bearer realm=\"api\", error=\"invalid_token\", error_description=\"" + invalidText + "\"\n\n{\"error\":\"invalid_token\",\"error_description\":\"" + invalidText + "\"}\n"
	badReq   = "400\nCache-Control: no-store\nContent-Type: application/json\nWww-Authenticate: Bearer realm=\"api\", error=\"invalid_request\", error_description=\"" + badReqText + "\"\n\n{\"error\":\"invalid_request\",\"error_description\":\"" + badReqText + "\"}\n"
	outage   = "503\nCache-Control: no-store\nContent-Type: application/json\nRetry-After: 1\n\n{\"error\":\"temporarily_unavailable\",\"error_description\":\"" + outageText + "\"}\n"
	noMethod = "403\nCache-Control: no-store\nContent-Type: application/json\nWww-Authenticate: Bearer realm=\"api\", error=\"insufficient_scope\", error_description=\"" + scopeText + "\"\n\n{\"error\":\"insufficient_scope\",\"error_description\":\"" + scopeText + "\"}\n"

	invalidText = "The access token is expired, revoked, malformed, or not valid here"
	badReqText  = "The request must carry exactly one well-formed access token"
	scopeText   = "The access token does not grant what this request needs"
	outageText  = "The access token could not be checked, try again later"
)

// needs is the answer to a token that lacks scopes.
func needs(scope string) string {
	return strings.Replace(noMethod, scopeText+"\"\n", scopeText+"\", scope=\""+scope+"\"\n", 1)
}

func retryAfter(s string) string {
	return strings.Replace(outage, "Retry-After: 1", "Retry-After: "+s, 1)
}

func realm(answer, quoted string) string {
	return strings.Replace(answer, `realm="api"`, "realm="+quoted, 1)
}

func headOf(answer string) string {
	head, _, _ := strings.Cut(answer, "\n\n")
	return head + "\n\n"
}

// A row is one request and the complete answer that it must get.
type row struct {
	name   string
	req    *http.Request
	want   string
	reason middleware.Reason
}

// A group is one configuration of a guard and the requests that it answers.
type group struct {
	name   string
	config func(*middleware.Config)
	policy middleware.Policy
	rows   []row
}

// get is a GET request with the given Authorization fields.
func get(authorization ...string) *http.Request { return do("GET", "/", authorization...) }

func do(method, target string, authorization ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return r
}

func hello(w http.ResponseWriter, r *http.Request) {
	subject := ""
	if t := sneck.FromContext(r.Context()); t != nil {
		subject = t.Subject
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Handler", "subject="+subject)
	if r.Method != http.MethodHead {
		fmt.Fprint(w, "hello")
	}
}

// dump prints a whole answer: status, every header field in order of name,
// body.
func dump(rec *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintln(&b, rec.Code)
	var lines []string
	for name, values := range rec.Header() {
		for _, v := range values {
			lines = append(lines, name+": "+v+"\n")
		}
	}
	slices.Sort(lines)
	fmt.Fprintf(&b, "%s\n%s", strings.Join(lines, ""), rec.Body)
	return b.String()
}

func TestGuard(t *testing.T) {
	count := 0
	for _, group := range slices.Concat(headerGroups(), verdictGroups(), configGroups(), scopeGroups(), sourceGroups()) {
		t.Run(group.name, func(t *testing.T) {
			var reason middleware.Reason
			config := middleware.Config{
				Verifier: tableVerifier{},
				Audience: []string{audience},
				Now:      func() time.Time { return now },
				Observe:  func(_ context.Context, d middleware.Decision) { reason = d.Reason },
			}
			if group.config != nil {
				group.config(&config)
			}
			guard, err := middleware.New(config)
			require.NoError(t, err)
			handler := guard.Protect(group.policy)(http.HandlerFunc(hello))
			for _, row := range group.rows {
				count++
				t.Run(row.name, func(t *testing.T) {
					reason = ""
					rec := httptest.NewRecorder()
					handler.ServeHTTP(rec, row.req)
					assert.Equal(t, row.want, dump(rec))
					assert.Equal(t, row.reason, reason)
					for _, value := range rec.Header().Values("WWW-Authenticate") {
						_, err := parseChallenges(value)
						assert.NoError(t, err)
					}
				})
			}
		})
	}
	t.Logf("%d rows", count)
}
