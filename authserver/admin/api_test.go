package admin_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/scopes"
)

// always is what every answer has.
func always(more ...string) http.Header {
	h := http.Header{
		"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
		"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
	}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// An answered is a whole answer.
type answered struct {
	Status int
	Header http.Header
	Body   string
}

func whole(r *httptest.ResponseRecorder) answered {
	return answered{r.Code, r.Header(), strings.TrimSuffix(r.Body.String(), "\n")}
}

func refused(status int, detail string, header ...string) answered {
	body := fmt.Sprintf(`{"title":%q,"status":%d,"detail":%q}`, http.StatusText(status), status, detail)
	return answered{status, always(append([]string{"Content-Type", "application/problem+json"}, header...)...), body}
}

const challenge = `Bearer realm="sneck admin", scope="sneck:admin"`

// Every operation is refused to whoever may not, in the same words, before
// anything else is looked at.
func TestWhoMayAsk(t *testing.T) {
	w := newWorld(t)
	token := w.token(t)
	accounts := map[string]string{}
	for _, name := range []string{"alice", "bob"} {
		a, err := w.ops.CreateAccount(t.Context(), admin.NewAccount{Username: name, Admin: name == "alice"})
		require.NoError(t, err)
		accounts[name] = a.ID
	}
	forPerson := func(id, extra string) string {
		issued := authserver.NewAccessToken()
		require.NoError(t, w.store.Create(t.Context(), authserver.Record{
			Key: authserver.KeyOf(issued), Kind: authserver.KindAccess, Client: "root", Subject: id, Scopes: scopes.Set{authserver.AdminScope},
			Audience: []string{issuer}, Issued: w.now, Expires: w.now.Add(time.Hour), Extra: json.RawMessage(extra),
		}))
		return issued
	}
	// To a grant of the application's own, somebody may be called like a client.
	namesake := authserver.NewAccessToken()
	require.NoError(t, w.store.Create(t.Context(), authserver.Record{
		Key: authserver.KeyOf(namesake), Kind: authserver.KindAccess, Family: "f", Client: "root", Subject: "root", Scopes: scopes.Set{authserver.AdminScope},
		Audience: []string{issuer}, Issued: w.now, Expires: w.now.Add(time.Hour),
	}))
	toBoth := w.tokenOf(t, "both", scopes.Set{authserver.AdminScope}, issuer, "https://notes.example")
	gone := w.tokenOf(t, "gone", scopes.Set{authserver.AdminScope}, issuer)
	require.NoError(t, w.store.DeleteClient(t.Context(), "gone"))
	demoted := w.tokenOf(t, "demoted", scopes.Set{authserver.AdminScope}, issuer)
	w.tokenOf(t, "demoted", scopes.Set{"notes:read"}, issuer)
	unknown := refused(401, "the token is not known, has expired or was revoked (hint: get a new one)", "Www-Authenticate", challenge+`, error="invalid_token"`)
	forbidden := func(detail string) answered {
		return refused(403, detail, "Www-Authenticate", challenge+`, error="insufficient_scope"`)
	}
	for _, test := range []struct {
		name, authorization string
		want                answered
	}{
		{"no token", "", refused(401, "there is no token (hint: Authorization: Bearer …)", "Www-Authenticate", challenge)},
		{"other scheme", "Basic " + token, refused(401, "the authentication scheme is not understood here (hint: Authorization: Bearer …)", "Www-Authenticate", challenge)},
		{"empty token", "Bearer ", refused(401, "the authentication scheme is not understood here (hint: Authorization: Bearer …)", "Www-Authenticate", challenge)},
		{"garbage", "Bearer x", unknown},
		{"unknown token", "Bearer " + authserver.NewAccessToken(), unknown},
		{"wrong scope", "Bearer " + w.tokenOf(t, "reader", scopes.Set{"notes:read"}, issuer),
			forbidden("the token does not have the scope sneck:admin (hint: ask for it by name)")},
		{"other audience", "Bearer " + w.tokenOf(t, "elsewhere", scopes.Set{authserver.AdminScope}, "https://notes.example"),
			refused(401, "the token is not meant for this server alone (hint: ask for its issuer as the only resource)", "Www-Authenticate", challenge+`, error="invalid_token"`)},
		{"one more audience", "Bearer " + toBoth,
			refused(401, "the token is not meant for this server alone (hint: ask for its issuer as the only resource)", "Www-Authenticate", challenge+`, error="invalid_token"`)},
		{"bound to a key", "Bearer " + forPerson(accounts["alice"], `{"cnf":{"jkt":"x"}}`),
			refused(401, "the token is bound to a key, which can not be proved here (hint: get one without)", "Www-Authenticate", challenge+`, error="invalid_token"`)},
		{"deleted client", "Bearer " + gone,
			refused(401, "the client of the token is gone (hint: get one as another client)", "Www-Authenticate", challenge+`, error="invalid_token"`)},
		{"client without the scope", "Bearer " + demoted, forbidden("the client may not have the scope any more (hint: ask an administrator)")},
		{"person without the role", "Bearer " + forPerson(accounts["bob"], "{}"),
			forbidden("the account of the token is not an administrator's (hint: sneck user admin add NAME)")},
		{"person who is called like the client", "Bearer " + namesake,
			forbidden("the account of the token is not an administrator's (hint: sneck user admin add NAME)")},
		{"nobody's account", "Bearer " + forPerson("u_nobody", "{}"),
			forbidden("the account of the token is not an administrator's (hint: sneck user admin add NAME)")},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, route := range admin.Routes() {
				r := httptest.NewRequestWithContext(t.Context(), route.Method, admin.Path+route.Path, strings.NewReader(`{"unknown`))
				if test.authorization != "" {
					r.Header.Set("Authorization", test.authorization)
				}
				r.AddCookie(&http.Cookie{Name: "sneck-session", Value: token})
				assert.Equal(t, test.want, whole(w.serve(r)), route.ID)
			}
		})
	}
	t.Run("an administrator", func(t *testing.T) {
		assert.Equal(t, http.StatusOK, w.ask(t, forPerson(accounts["alice"], "{}"), "GET", "keys", "").Code)
	})
	t.Run("two headers", func(t *testing.T) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", admin.Path+"keys", nil)
		r.Header["Authorization"] = []string{"Bearer " + token, "Bearer " + token}
		assert.Equal(t, refused(400, "there is more than one Authorization header (hint: send one)", "Www-Authenticate", challenge+`, error="invalid_request"`), whole(w.serve(r)))
	})
}

// What is wrong with the form of a request is said for every operation alike.
func TestFormOfRequests(t *testing.T) {
	w := newWorld(t)
	token := w.token(t)
	for _, route := range admin.Routes() {
		path := regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(route.Path, "nobody")
		ask := func(query, contentType, body string) answered {
			r := httptest.NewRequestWithContext(t.Context(), route.Method, admin.Path+path+query, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("If-Match", "*")
			return whole(w.serve(r))
		}
		t.Run(route.ID, func(t *testing.T) {
			assert.Contains(t, ask("?colour=red", "application/json", "{}").Body, `there is no parameter \"colour\" here (hint: `)
			assert.Equal(t, refused(400, "the query is malformed or too long (hint: name=value, with & between)"), ask("?a=%zz", "application/json", "{}"))
			if len(route.Query) > 0 {
				assert.Equal(t, refused(400, `the parameter "after" is there twice (hint: give it once)`), ask("?after=a&after=b", "application/json", ""))
				assert.Equal(t, refused(400, "the limit is not a number from 1 to 200 (hint: leave it out)"), ask("?limit=0", "application/json", ""))
			}
			if route.Body == nil {
				assert.Equal(t, refused(400, "the operation takes no body (hint: leave it out)"), ask("", "application/json", "{}"))
				return
			}
			hint := " (hint: " + admin.Path + "openapi.json)"
			assert.Equal(t, refused(400, "the body is not as it should be: it is not JSON from byte 1 on"+hint), ask("", "application/json", "{"))
			assert.Equal(t, refused(400, `the body is not as it should be: there is no member "colour"`+hint), ask("", "application/json", `{"colour":"red"}`))
			assert.Equal(t, refused(400, `the body is not as it should be: what is at "" can not be a [, or not that one`+hint), ask("", "application/json", `[]`))
			assert.Equal(t, refused(415, "the body is not JSON (hint: Content-Type: application/json)"), ask("", "application/x-www-form-urlencoded", "a=b"))
			assert.Equal(t, refused(413, "the body is longer than 262144 bytes (hint: leave out what is not needed)"),
				ask("", "application/json", strings.Repeat(" ", 256<<10)+"{}"))
		})
	}
}

// varying is what is different each time; the names are those of the members.
var varying = regexp.MustCompile(`"(client_secret|version|kid|password|sub|jti|prev|next|id|alg)":"[^"]+"`)

func normal(body string) string { return varying.ReplaceAllString(body, `"$1":"…"`) }

// Each operation does what it says, and says all that is.
func TestOperations(t *testing.T) {
	w := newWorld(t)
	token := w.token(t)
	ids := map[string]string{} // what answers have called things
	done := map[string]bool{}
	var everything strings.Builder
	step := func(id, method, path, body string, status int, want string) {
		t.Helper()
		for name, value := range ids {
			path, body = strings.ReplaceAll(path, "<"+name+">", value), strings.ReplaceAll(body, "<"+name+">", value)
		}
		r := httptest.NewRequestWithContext(t.Context(), method, admin.Path+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		if id == "changeClient" {
			r.Header.Set("If-Match", ids["tag"])
		}
		got := whole(w.serve(r))
		everything.WriteString(got.Body)
		header := always()
		if tag := got.Header.Get("Etag"); tag != "" {
			ids["tag"] = tag
			header.Set("Etag", tag)
		}
		if want != "" {
			header.Set("Content-Type", "application/json")
		}
		if status >= 400 {
			header.Set("Content-Type", "application/problem+json")
		} else {
			done[id] = true
		}
		for name, pattern := range map[string]string{"sub": `"sub":"(u_[^"]+)"`, "kid": `"kid":"([^"]+)"`, "secret": `"id":"([^"]+)"`, "jti": `"jti":"([^"]+)"`} {
			if found := regexp.MustCompile(pattern).FindStringSubmatch(got.Body); found != nil {
				ids[name] = found[1]
			}
		}
		assert.Equal(t, answered{status, header, want}, answered{got.Status, got.Header, normal(got.Body)}, "%s %s", method, path)
	}
	missing := func(what string) string {
		return `{"title":"Not Found","status":404,"detail":"` + what + `"}`
	}
	const app = `"client_id":"a/b c","client_name":"A","grant_types":["client_credentials"],"scope":"notes:read","audience":["https://notes.example"],"public":false`
	step("createClient", "POST", "clients", `{"client_id":"a/b c","client_name":"A","grant_types":["client_credentials"],"scope":"notes:read","audience":["https://notes.example"]}`, 201,
		`{`+app+`,"secrets":[{"id":"…","expired":false}],"version":"…","client_secret":"…"}`)
	ids["first"] = ids["secret"]
	step("createClient", "POST", "clients", `{"client_id":"a/b c"}`, 409,
		`{"title":"Conflict","status":409,"detail":"client \"a/b c\" exists already (hint: choose another ID, or delete it first)"}`)
	step("createClient", "POST", "clients", `{"client_id":"x","scope":"unknown"}`, 422,
		`{"title":"Unprocessable Entity","status":422,"detail":"client \"x\": Scopes [\"unknown\"] are not among the server's [\"notes:read\" \"notes:write\" \"sneck:admin\"]"}`)
	step("listClients", "GET", "clients?q=A%2FB&limit=1", "", 200, `{"clients":[{`+app+`,"secrets":[{"id":"…","expired":false}],"version":"…"}],"next":"…"}`)
	step("listClients", "GET", "clients?q=nothing", "", 200, `{"clients":[]}`)
	step("getClient", "GET", "clients/a%2Fb%20c", "", 200, `{`+app+`,"secrets":[{"id":"…","expired":false}],"version":"…"}`)
	step("getClient", "GET", "clients/nobody", "", 404, missing(`there is no client \"nobody\" (hint: list the clients)`))
	step("addSecret", "POST", "clients/a%2Fb%20c/secrets", `{"expires":"2026-11-28T12:00:00Z"}`, 201, `{"id":"…","expires":"2026-11-28T12:00:00Z","expired":false,"client_secret":"…"}`)
	step("addSecret", "POST", "clients/nobody/secrets", `{}`, 404, missing(`there is no client \"nobody\" (hint: list the clients)`))
	step("expireSecret", "PUT", "clients/a%2Fb%20c/secrets/<first>", `{"expires":"2026-11-27T13:00:00Z"}`, 200,
		`{`+app+`,"secrets":[{"id":"…","expires":"2026-11-27T13:00:00Z","expired":false},{"id":"…","expires":"2026-11-28T12:00:00Z","expired":false}],"version":"…"}`)
	step("expireSecret", "PUT", "clients/a%2Fb%20c/secrets/<first>", `{"expires":"2026-11-27T12:00:00Z"}`, 422,
		`{"title":"Unprocessable Entity","status":422,"detail":"2026-11-27T12:00:00Z is over (hint: a later time, or none)"}`)
	step("expireSecret", "PUT", "clients/a%2Fb%20c/secrets/<first>", `{}`, 422,
		`{"title":"Unprocessable Entity","status":422,"detail":"expires is missing (hint: DELETE ends the secret at once)"}`)
	step("retireSecret", "DELETE", "clients/a%2Fb%20c/secrets/nobody", "", 404, missing(`client \"a/b c\" has no secret \"nobody\" (hint: read it again)`))
	step("retireSecret", "DELETE", "clients/a%2Fb%20c/secrets/<first>", "", 200,
		`{`+app+`,"secrets":[{"id":"…","expires":"2026-11-28T12:00:00Z","expired":false}],"version":"…"}`)
	step("changeClient", "PUT", "clients/a%2Fb%20c", `{"client_name":"B"}`, 200,
		`{"client_id":"a/b c","client_name":"B","public":false,"secrets":[{"id":"…","expires":"2026-11-28T12:00:00Z","expired":false}],"version":"…"}`)
	step("changeClient", "PUT", "clients/nobody", `{}`, 404, missing(`there is no client \"nobody\" (hint: list the clients)`))
	ids["tag"] = `"old"`
	step("changeClient", "PUT", "clients/a%2Fb%20c", `{}`, 412,
		`{"title":"Precondition Failed","status":412,"detail":"client \"a/b c\" has changed since it was read (hint: read it again)"}`)
	ids["tag"] = "weak"
	step("changeClient", "PUT", "clients/a%2Fb%20c", `{}`, 400,
		`{"title":"Bad Request","status":400,"detail":"If-Match is not one strong tag (hint: the ETag as it was sent, with its quotes)"}`)

	step("createAccount", "POST", "accounts", `{"username":"alice"}`, 201, `{"sub":"…","username":"alice","created":"2026-11-27T12:00:00Z","admin":false,"password":"…"}`)
	step("createAccount", "POST", "accounts", `{"username":"Alice","password":"long enough"}`, 409,
		`{"title":"Conflict","status":409,"detail":"there is an account \"Alice\" (hint: choose another name)"}`)
	step("createAccount", "POST", "accounts", `{"username":"bob","password":"short"}`, 422,
		`{"title":"Unprocessable Entity","status":422,"detail":"a password must have 10 to 1024 bytes (hint: a few words make a good one)"}`)
	step("listAccounts", "GET", "accounts?q=LIC", "", 200, `{"accounts":[{"sub":"…","username":"alice","created":"2026-11-27T12:00:00Z","admin":false}]}`)
	step("getAccount", "GET", "accounts/<sub>", "", 200, `{"sub":"…","username":"alice","created":"2026-11-27T12:00:00Z","admin":false}`)
	step("getAccount", "GET", "accounts/nobody", "", 404, missing(`there is no account \"nobody\" (hint: list the accounts)`))
	step("setAdmin", "PUT", "accounts/<sub>/admin", `{"admin":true}`, 200, `{"sub":"…","username":"alice","created":"2026-11-27T12:00:00Z","admin":true}`)
	step("setAdmin", "PUT", "accounts/<sub>/admin", `{}`, 422, `{"title":"Unprocessable Entity","status":422,"detail":"admin is missing (hint: true or false)"}`)
	step("setAdmin", "PUT", "accounts/nobody/admin", `{"admin":true}`, 404, missing(`there is no account \"nobody\" (hint: list the accounts)`))
	step("setPassword", "PUT", "accounts/<sub>/password", `{}`, 200, `{"password":"…"}`)
	step("setPassword", "PUT", "accounts/<sub>/password", `{"password":"correct horse"}`, 200, `{}`)
	step("setPassword", "PUT", "accounts/nobody/password", `{}`, 404, missing(`there is no account \"nobody\" (hint: list the accounts)`))
	w.signIn(t, ids["sub"], "one", "two", "three")
	step("listSessions", "GET", "accounts/<sub>/sessions", "", 200,
		`{"sessions":[{"id":"…","agent":"Firefox, Linux","since":"2026-11-27T12:00:00Z","seen":"2026-11-27T12:00:00Z"}`+
			strings.Repeat(`,{"id":"…","agent":"Firefox, Linux","since":"2026-11-27T12:00:00Z","seen":"2026-11-27T12:00:00Z"}`, 2)+`]}`)
	step("listSessions", "GET", "accounts/nobody/sessions", "", 404, missing(`there is no account \"nobody\" (hint: list the accounts)`))
	step("endSession", "DELETE", "accounts/<sub>/sessions/<secret>", "", 204, "")
	ids["old"] = ids["secret"]
	step("endSession", "DELETE", "accounts/<sub>/sessions/nobody", "", 404, missing(`account \"`+ids["sub"]+`\" has no session \"nobody\" (hint: list the sessions)`))
	step("endSessions", "DELETE", "accounts/<sub>/sessions", "", 200, `{"ended":2}`)
	step("endSessions", "DELETE", "accounts/nobody/sessions", "", 404, missing(`there is no account \"nobody\" (hint: list the accounts)`))

	w.issue(t, "a/b c", ids["sub"], "f1")
	const tokens = `{"kind":"access","jti":"…","family":"f1","client_id":"a/b c","sub":"…","scope":"notes:read","aud":["https://notes.example"],"issued":"2026-11-27T12:00:00Z","expires":"2026-11-27T13:00:00Z"}`
	step("listTokens", "GET", "tokens?family=f1&limit=2", "", 200, `{"tokens":[`+tokens+`]}`)
	step("listTokens", "GET", "tokens", "", 422, `{"title":"Unprocessable Entity","status":422,"detail":"nothing says which tokens (hint: client_id, sub or family)"}`)
	step("listTokens", "GET", "tokens?sub=x&after=x", "", 422, `{"title":"Unprocessable Entity","status":422,"detail":"\"x\" is not where a page has ended (hint: the next of an answer)"}`)
	step("revokeTokens", "POST", "tokens/revoke", `{"jti":"<jti>"}`, 200, `{"revoked":1}`)
	step("revokeTokens", "POST", "tokens/revoke", `{"jti":"nobody"}`, 404, missing(`there is no live token \"nobody\" (hint: it may have expired, or be revoked already)`))
	step("revokeTokens", "POST", "tokens/revoke", `{}`, 422, `{"title":"Unprocessable Entity","status":422,"detail":"nothing says which tokens (hint: client_id, sub, family or jti)"}`)

	step("rotateKey", "POST", "keys", "", 201, `{"kid":"…","alg":"…","state":"signing","published":"2026-11-27T12:00:00Z","signs":"2026-11-27T12:00:00Z"}`)
	step("listKeys", "GET", "keys", "", 200, `{"keys":[{"kid":"…","alg":"…","state":"signing","published":"2026-11-27T12:00:00Z","signs":"2026-11-27T12:00:00Z"}]}`)
	step("retireKey", "DELETE", "keys/<kid>", "", 204, "")
	step("retireKey", "DELETE", "keys/nobody", "", 404, missing(`there is no key \"nobody\" (hint: list the keys)`))
	step("listScopes", "GET", "scopes", "", 200, `{"scopes":[{"name":"notes:read","text":"Read your notes","clients":0},`+
		`{"name":"notes:write","text":"","clients":0},{"name":"sneck:admin","text":"Administer the server","clients":1}]}`)
	step("searchAudit", "GET", "audit?kind=session_ended&by=root&q=U_&limit=1", "", 200,
		`{"entries":[{"seq":`+w.seq(t, "session_ended")+`,"prev":"…","kind":"session_ended","time":"2026-11-27T12:00:00Z","subject":"`+ids["sub"]+`","count":2,"by":"root"}],"next":"…"}`)
	step("searchAudit", "GET", "audit?until=2026-11-27T12:00:00Z", "", 200, `{"entries":[]}`)
	step("searchAudit", "GET", "audit?since=yesterday", "", 400, `{"title":"Bad Request","status":400,"detail":"the parameter \"since\" is not a time (hint: such as 2030-01-31T12:00:00Z)"}`)
	step("searchAudit", "GET", "audit?after=x", "", 422, `{"title":"Unprocessable Entity","status":422,"detail":"there is no such place in the log (hint: search again, from the beginning)"}`)

	w.noSecretIn(t, everything.String(), token)
	last := `{"title":"Unprocessable Entity","status":422,"detail":"account \"` + ids["sub"] + `\" is the last administrator's (hint: make somebody else an administrator first)"}`
	step("deleteAccount", "DELETE", "accounts/<sub>", "", 422, last)
	step("setAdmin", "PUT", "accounts/<sub>/admin", `{"admin":false}`, 422, last)
	_, err := w.ops.CreateAccount(t.Context(), admin.NewAccount{Username: "bob", Admin: true})
	require.NoError(t, err)
	step("deleteAccount", "DELETE", "accounts/<sub>", "", 204, "")
	step("deleteAccount", "DELETE", "accounts/<sub>", "", 404, missing(`there is no account \"`+ids["sub"]+`\" (hint: list the accounts)`))
	step("deleteClient", "DELETE", "clients/a%2Fb%20c", "", 200, `{"revoked":0}`)
	step("deleteClient", "DELETE", "clients/a%2Fb%20c", "", 404, missing(`there is no client \"a/b c\" (hint: list the clients)`))
	for _, route := range admin.Routes() {
		assert.True(t, done[route.ID], "%s was never done", route.ID)
	}
}

// noSecretIn checks that text holds neither hashes nor the keys of records.
func (w *world) noSecretIn(t *testing.T, text, token string) {
	t.Helper()
	clients, err := w.store.ListClients(t.Context(), "", 100)
	require.NoError(t, err)
	hidden := []string{"$argon2id$", "sneck_at_", token}
	for _, c := range clients {
		records, err := w.store.List(t.Context(), "", authserver.Selector{Client: c.ID}, authserver.Key{}, 100)
		require.NoError(t, err)
		for _, r := range records {
			hidden = append(hidden, hex.EncodeToString(r.Key[:]), base64.RawURLEncoding.EncodeToString(r.Key[:])[:20], base64.StdEncoding.EncodeToString(r.Key[:])[:20])
		}
		for _, s := range c.Secrets {
			hidden = append(hidden, s.Hash)
		}
	}
	require.Greater(t, len(hidden), 8)
	for _, s := range hidden {
		assert.NotContains(t, text, s)
	}
}
