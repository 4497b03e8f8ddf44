package middleware

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// Refuse answers a request that was not allowed. It is the only function that
// writes a refusal, and it has nothing to go by but the decision. It must not
// be called for a decision that allows the request.
func (g *Guard) Refuse(w http.ResponseWriter, r *http.Request, d Decision) {
	out := d.Reason.outcome()
	header := w.Header()
	values := [4]string{"no-store", "application/json", "", ""} // one allocation for all
	header["Cache-Control"] = values[0:1:1]
	if out.status == http.StatusServiceUnavailable {
		// No challenge: a client would drop a token that may well be good.
		values[2] = seconds(d.RetryAfter)
		header["Retry-After"] = values[2:3:3]
	} else {
		values[3] = g.challenges.of(out, d.Required)
		header["Www-Authenticate"] = values[3:4:4]
	}
	if out.code == "" {
		// Without credentials there is no error to tell about.
		w.WriteHeader(out.status)
		return
	}
	header["Content-Type"] = values[1:2:2]
	w.WriteHeader(out.status)
	if r.Method != http.MethodHead {
		w.Write(g.body(out, d.Required))
	}
}

// body returns the JSON object that says the same as the challenge.
func (g *Guard) body(out *outcome, required scopes.Set) []byte {
	b := make([]byte, 0, 256)
	b = append(b, `{"error":"`...)
	b = append(b, out.code...)
	b = append(b, `","error_description":"`...)
	b = append(b, out.description...)
	b = append(b, '"')
	if g.config.ErrorWithScopes && out == &noScope {
		if required == nil {
			required = scopes.Set{}
		}
		list, _ := json.Marshal(required) // strings always succeed
		b = append(b, `,"required_scopes":`...)
		b = append(b, list...)
	}
	return append(b, "}\n"...)
}

// seconds returns the value of Retry-After (RFC 9110, section 10.2.3): whole
// seconds, rounded up, at least one.
func seconds(d time.Duration) string {
	return strconv.FormatInt(max(int64((d+time.Second-1)/time.Second), 1), 10)
}

// challenges are the values of WWW-Authenticate, made ahead as far as
// possible.
type challenges struct {
	bare, request, token, scope string
}

func newChallenges(c *Config) challenges {
	bare := "Bearer realm=" + quote(c.Realm)
	with := func(out outcome) string {
		return bare + ", error=" + quote(out.code) + ", error_description=" + quote(out.description)
	}
	return challenges{bare: bare, request: with(invalidRequest), token: with(invalidToken), scope: with(noScope)}
}

func (c *challenges) of(out *outcome, required scopes.Set) string {
	switch out {
	case &invalidRequest:
		return c.request
	case &invalidToken:
		return c.token
	case &noScope:
		if len(required) == 0 {
			return c.scope
		}
		return c.scope + ", scope=" + quote(required.String())
	}
	return c.bare
}

// quote returns s as a quoted-string (RFC 9110, section 5.6.4). What can not
// be in one is left out: no text may end a header early.
func quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c < 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quotable reports whether quote leaves nothing out.
func quotable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
