package middleware_test

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// policyGroups are what a route can demand besides scopes, and what a guard
// can say besides the usual.
func policyGroups() []group {
	signedIn := func(ago time.Duration, acr string) *sneck.Token {
		return with(func(t *sneck.Token) { t.AuthTime, t.ACR = now.Add(-ago), acr })
	}
	people := func(c *middleware.Config) {
		c.Verifier = tokens{
			"plain":       token("read"),
			"no-time":     with(func(t *sneck.Token) { t.ACR = "gold" }),
			"gold":        signedIn(10*time.Second, "gold"),
			"gold-old":    signedIn(301*time.Second, "gold"),
			"gold-edge":   signedIn(300*time.Second, "gold"),
			"silver":      signedIn(0, "silver"),
			"golden":      signedIn(0, "golden"),
			"both":        signedIn(0, "silver gold"),
			"wrong-scope": with(func(t *sneck.Token) { t.Scopes = scopes.MustParse("other") }),
		}
	}
	const stepUpText = "The user must sign in again"
	stepUp := func(more string) string {
		return refusal("401", "insufficient_user_authentication", stepUpText,
			bearerOffer+params("insufficient_user_authentication", stepUpText)+more)
	}
	const step = middleware.ReasonStepUp

	otherwise := func(r *http.Request) (*sneck.Token, error) {
		switch name, password, ok := r.BasicAuth(); {
		case !ok:
			return nil, nil
		case name == "down":
			return nil, errors.New("connection refused")
		case name == "panic":
			panic(password)
		case name == "next":
			return nil, sneck.ErrUnrecognized
		case password != "right":
			return nil, sneck.ErrInvalid
		}
		return &sneck.Token{Subject: "client"}, nil
	}
	basic := func(name, password string) *http.Request {
		return change(get(), func(r *http.Request) { r.SetBasicAuth(name, password) })
	}
	basicOffer := "\nWww-Authenticate: Basic realm=\"clients\""
	withBasic := func(answer string) string { return strings.Replace(answer, "\n\n", basicOffer+"\n\n", 1) }
	byClient := strings.Replace(admitted, "ann", "client", 1)

	preflight := func(changes ...func(*http.Request)) *http.Request {
		return change(change(do("OPTIONS", "/"), set("Origin", "https://app.example"), set("Access-Control-Request-Method", "PUT")), changes...)
	}
	exposed := func(answer string) string {
		return strings.Replace(answer, "Cache-Control", "Access-Control-Expose-Headers: WWW-Authenticate, DPoP-Nonce, Retry-After\nCache-Control", 1)
	}

	metadata := func(c *middleware.Config) {
		c.Metadata = &middleware.Metadata{Resource: audience, AuthorizationServers: []string{"https://as.example"}}
	}
	pointed := func(answer string) string {
		return strings.Replace(answer, `realm="api"`, `realm="api", resource_metadata="https://api.example/.well-known/oauth-protected-resource"`, 1)
	}
	scoped := func(answer string) string {
		return strings.Replace(strings.Replace(answer, "\"\n\n{", "\", scope=\"read write\"\n\n{", 1), "\"api\"\n", "\"api\", scope=\"read write\"\n", 1)
	}

	return []group{
		{"step-up by context", people, middleware.Policy{Scopes: scopes.All("read"), ACR: []string{"gold", "platinum"}}, []row{
			{"good", get("Bearer gold"), admitted, ok},
			{"other", get("Bearer silver"), stepUp(`, acr_values="gold platinum"`), step},
			{"longer", get("Bearer golden"), stepUp(`, acr_values="gold platinum"`), step},
			{"list", get("Bearer both"), stepUp(`, acr_values="gold platinum"`), step},
			{"none", get("Bearer plain"), stepUp(`, acr_values="gold platinum"`), step},
			{"wrong scope", get("Bearer wrong-scope"), needs("read"), scope},
		}},
		{"step-up by age", people, middleware.Policy{Scopes: scopes.All("read"), MaxAge: 5 * time.Minute}, []row{
			{"good", get("Bearer silver"), admitted, ok},
			{"just young enough", get("Bearer gold-edge"), admitted, ok},
			{"too old", get("Bearer gold-old"), stepUp(`, max_age="300"`), step},
			{"no time", get("Bearer no-time"), stepUp(`, max_age="300"`), step},
		}},
		{"step-up by both", people, middleware.Policy{Scopes: scopes.All("read"), ACR: []string{"gold"}, MaxAge: 5 * time.Minute}, []row{
			{"good", get("Bearer gold"), admitted, ok},
			{"too old", get("Bearer gold-old"), stepUp(`, acr_values="gold", max_age="300"`), step},
			{"other", get("Bearer silver"), stepUp(`, acr_values="gold", max_age="300"`), step},
			{"nothing", get(), bare, noToken},
		}},
		{"client or token", nil, middleware.Policy{
			Scopes: scopes.All("write"), Otherwise: otherwise, OtherwiseChallenge: `Basic realm="clients"`,
		}, []row{
			{"client", basic("client", "right"), byClient, middleware.ReasonOtherwise},
			{"wrong password", basic("client", "wrong"), withBasic(bare), middleware.ReasonSignIn},
			{"token", get("Bearer write"), admitted, ok},
			{"wrong scope", get("Bearer read"), needs("write"), scope},
			{"unknown token", get("Bearer unknown"), withBasic(invalid), refused},
			{"nothing", get(), withBasic(bare), noToken},
			{"not of the clients", basic("next", ""), withBasic(bare), noToken},
			{"client and token", change(basic("client", "right"), func(r *http.Request) { r.Header.Add("Authorization", "Bearer write") }), badReq, twoTokens},
			{"token and client", change(get("Bearer write"), func(r *http.Request) {
				r.Header.Add("Authorization", basic("client", "right").Header.Get("Authorization"))
			}), badReq, twoTokens},
			{"down", basic("down", "right"), outage, middleware.ReasonUnavailable},
			{"panic", basic("panic", "secret"), outage, middleware.ReasonBroken},
		}},
		{"signed in or token", nil, middleware.Policy{Scopes: scopes.All("write"), Otherwise: func(r *http.Request) (*sneck.Token, error) {
			if c, err := r.Cookie("session"); err == nil && c.Value == "ann" {
				return &sneck.Token{Subject: "ann"}, nil
			}
			return nil, nil
		}}, []row{
			{"signed in", change(get(), set("Cookie", "session=ann")), admitted, middleware.ReasonOtherwise},
			{"token", get("Bearer write"), admitted, ok},
			{"wrong scope", get("Bearer read"), needs("write"), scope},
			{"neither", change(get(), set("Cookie", "session=bob")), bare, noToken},
		}},
		{"shadow", nil, middleware.Policy{Scopes: scopes.All("write"), DangerouslyShadow: true}, []row{
			{"good", get("Bearer write"), admitted, ok},
			{"wrong scope", get("Bearer read"), anonymous, scope},
			{"nothing", get(), anonymous, noToken},
			{"unknown", get("Bearer unknown"), anonymous, refused},
			{"two", get("Bearer write", "Bearer write"), anonymous, twoTokens},
			{"down", get("Bearer down"), anonymous, middleware.ReasonUnavailable},
		}},
		{"preflight", func(c *middleware.Config) { c.AllowPreflight = true }, anyToken, []row{
			{"preflight", preflight(), anonymous, middleware.ReasonPreflight},
			{"with a token", preflight(set("Authorization", "Bearer unknown")), exposed(invalid), refused},
			{"get", preflight(method("GET")), exposed(bare), noToken},
			{"without origin", preflight(func(r *http.Request) { r.Header.Del("Origin") }), bare, noToken},
			{"without method", preflight(func(r *http.Request) { r.Header.Del("Access-Control-Request-Method") }), exposed(bare), noToken},
			{"down", change(get("Bearer down"), set("Origin", "https://app.example")), exposed(outage), middleware.ReasonUnavailable},
		}},
		{"preflight not allowed", nil, anyToken, []row{
			{"preflight", preflight(), bare, noToken},
		}},
		{"metadata", metadata, middleware.Policy{Scopes: scopes.All("write")}, []row{
			{"nothing", get(), pointed(bare), noToken},
			{"unknown", get("Bearer unknown"), pointed(invalid), refused},
			{"two", get("Bearer read", "Bearer read"), pointed(badReq), twoTokens},
			{"wrong scope", get("Bearer read"), pointed(needs("write")), scope},
			{"down", get("Bearer down"), outage, middleware.ReasonUnavailable},
		}},
		{"scopes in challenges", func(c *middleware.Config) { c.ScopesInChallenges = true }, middleware.Policy{Scopes: scopes.All("read", "write")}, []row{
			{"nothing", get(), scoped(bare), noToken},
			{"unknown", get("Bearer unknown"), scoped(invalid), refused},
			{"wrong scope", get("Bearer read"), needs("read write"), scope},
			{"two", get("Bearer read", "Bearer read"), badReq, twoTokens},
			{"down", get("Bearer down"), outage, middleware.ReasonUnavailable},
		}},
	}
}
