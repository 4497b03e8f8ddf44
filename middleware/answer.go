package middleware

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
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
		values[3] = g.challenges.of(out, &d)
		header["Www-Authenticate"] = values[3:4:4]
		if more := g.challenges.others(out, &d); more != nil {
			header["Www-Authenticate"] = append(values[3:4:4], more...)
		}
	}
	if d.Nonce != "" {
		header.Set("DPoP-Nonce", d.Nonce)
	}
	if g.config.AllowPreflight && r.Header["Origin"] != nil {
		header.Add("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce, Retry-After")
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

// newBodies returns the JSON objects that say the same as the challenges, for
// each outcome that has a body.
func newBodies() map[*outcome][]byte {
	bodies := map[*outcome][]byte{}
	for _, out := range append([]*outcome{&unavailable}, outcomes...) {
		bodies[out] = []byte(`{"error":"` + out.code + `","error_description":"` + out.description + "\"}\n")
	}
	return bodies
}

// body returns what the answer says besides its header.
func (g *Guard) body(out *outcome, required scopes.Set) []byte {
	body := g.bodies[out]
	if !g.config.ErrorWithScopes || out != &noScope {
		return body
	}
	if required == nil {
		required = scopes.Set{}
	}
	list, _ := json.Marshal(required) // strings always succeed
	return slices.Concat(bytes.TrimSuffix(body, []byte("}\n")), []byte(`,"required_scopes":`), list, []byte("}\n"))
}

// seconds returns the value of Retry-After (RFC 9110, section 10.2.3): whole
// seconds, rounded up, at least one.
func seconds(d time.Duration) string {
	return strconv.FormatInt(max(int64((d+time.Second-1)/time.Second), 1), 10)
}

// challenges are the values of WWW-Authenticate, made ahead but for scopes.
// Each scheme has a field of its own, so that no client has to find the comma
// between two (RFC 9110, section 11.6.1).
type challenges []schemeChallenges

// schemeChallenges are the challenges of one scheme, the first for requests
// without credentials.
type schemeChallenges struct {
	scheme scheme
	values map[*outcome]string
}

func newChallenges(c *Config) challenges {
	var all challenges
	add := func(name scheme, params string) {
		base := string(name) + " realm=" + quote(c.Realm) + params
		if c.Metadata != nil {
			base += ", resource_metadata=" + quote(c.Metadata.url()) // RFC 9728, section 5.1
		}
		s := schemeChallenges{name, map[*outcome]string{}}
		for _, out := range outcomes {
			s.values[out] = base
			if out.code != "" {
				s.values[out] += ", error=" + quote(out.code) + ", error_description=" + quote(out.description)
			}
		}
		all = append(all, s)
	}
	if c.DPoP.Mode != Strict {
		add(schemeBearer, "")
	}
	if c.DPoP.Mode.on() {
		add(schemeDPoP, ", algs="+quote(strings.Join(c.DPoP.Algorithms, " ")))
	}
	return all
}

// of returns the challenge that tells about the refusal, in the scheme that
// the client used, or the first if it is none of ours.
func (all challenges) of(out *outcome, d *Decision) string {
	return challenge(all[all.index(d)].values[out], d.Required, d.ACR, d.MaxAge)
}

// challenge adds to one that was made ahead what depends on the route.
func challenge(base string, required scopes.Set, acr []string, maxAge time.Duration) string {
	if len(required) == 0 && len(acr) == 0 && maxAge == 0 {
		return base
	}
	size := len(base) + 48
	for _, list := range [][]string{required, acr} {
		for _, word := range list {
			size += len(word) + 1
		}
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteString(base)
	if len(acr) > 0 {
		b.WriteString(", acr_values=")
		writeQuoted(&b, acr...)
	}
	if maxAge > 0 {
		b.WriteString(", max_age=")
		writeQuoted(&b, strconv.FormatInt(int64(maxAge/time.Second), 10))
	}
	if len(required) > 0 {
		b.WriteString(", scope=")
		writeQuoted(&b, required...)
	}
	return b.String()
}

// others returns what else a client may use after a 401.
func (all challenges) others(out *outcome, d *Decision) []string {
	if out.status != http.StatusUnauthorized {
		return nil
	}
	var values []string
	for i, s := range all {
		if i != all.index(d) {
			values = append(values, challenge(s.values[&needsToken], d.Required, nil, 0))
		}
	}
	if d.Challenge != "" {
		values = append(values, d.Challenge)
	}
	return values
}

func (all challenges) index(d *Decision) int {
	for i, s := range all {
		if string(s.scheme) == d.Scheme {
			return i
		}
	}
	return 0
}

// quote returns s as a quoted-string (RFC 9110, section 5.6.4). What can not
// be in one is left out: no text may end a header early.
func quote(s string) string {
	var b strings.Builder
	writeQuoted(&b, s)
	return b.String()
}

// writeQuoted writes the words, with spaces between them, as one quoted-string.
func writeQuoted(b *strings.Builder, words ...string) {
	b.WriteByte('"')
	for i, word := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		for j := range len(word) {
			switch c := word[j]; {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c >= ' ' && c < 0x7f:
				b.WriteByte(c)
			}
		}
	}
	b.WriteByte('"')
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
