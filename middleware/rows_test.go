package middleware_test

import (
	"net/http"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

const (
	ok        = middleware.ReasonAdmitted
	stranger  = middleware.ReasonAnonymous
	noToken   = middleware.ReasonNoToken
	malformed = middleware.ReasonMalformed
	twoTokens = middleware.ReasonTwoTokens
	refused   = middleware.ReasonInvalid
	scope     = middleware.ReasonScope
)

var anyToken = middleware.Policy{Scopes: scopes.AnyToken()}

// longest is a token that no verifier knows, but is not too long.
var longest = strings.Repeat("a", sneck.MaxTokenBytes)

// headerGroups are all the ways to send a token, or not quite.
func headerGroups() []group {
	rows := []row{
		{"usual", get("Bearer read"), admitted, ok},
		{"lower case scheme", get("bearer read"), admitted, ok},
		{"upper case scheme", get("BEARER read"), admitted, ok},
		{"mixed case scheme", get("bEaReR read"), admitted, ok},
		{"several spaces", get("Bearer    read"), admitted, ok},
		{"post", do("POST", "/", "Bearer read"), admitted, ok},
		{"head", do("HEAD", "/", "Bearer read"), admittedHead, ok},
		{"unknown method", do("BREW", "/", "Bearer read"), admitted, ok},

		{"nothing", get(), bare, noToken},
		{"nothing, head", do("HEAD", "/"), bare, noToken},
		{"nothing, options", do("OPTIONS", "/"), bare, noToken},
		{"empty field", get(""), bare, noToken},
		{"basic", get("Basic YTpi"), bare, noToken},
		{"digest", get(`Digest username="a", realm="b", nonce="c"`), bare, noToken},
		{"negotiate", get("Negotiate abc"), bare, noToken},
		{"token alone", get("read"), bare, noToken},
		{"longer scheme", get("Bearers read"), bare, noToken},
		{"scheme and equals", get("Bearer=read"), bare, noToken},
		{"scheme and colon", get("Bearer: read"), bare, noToken},
		{"unicode scheme", get("Ｂearer read"), bare, noToken},
		{"kelvin sign", get("Bearer\u212a read"), bare, noToken},
		{"in another header", func() *http.Request {
			r := get()
			r.Header.Set("X-Access-Token", "read")
			r.Header.Set("Proxy-Authorization", "Bearer read")
			return r
		}(), bare, noToken},
		{"in a cookie", func() *http.Request {
			r := get()
			r.Header.Set("Cookie", "access_token=read")
			return r
		}(), bare, noToken},
		{"in a trailer", func() *http.Request {
			r := do("POST", "/")
			r.Trailer = http.Header{"Authorization": {"Bearer read"}}
			return r
		}(), bare, noToken},
		{"in the query", do("GET", "/?access_token=read"), bare, noToken},
		{"in the form", form("access_token=read"), bare, noToken},

		{"scheme alone", get("Bearer"), badReq, malformed},
		{"scheme and space", get("Bearer "), badReq, malformed},
		{"scheme and spaces", get("Bearer    "), badReq, malformed},
		{"scheme and tab", get("Bearer\tread"), badReq, malformed},
		{"space and tab", get("Bearer \tread"), badReq, malformed},
		{"space within", get("Bearer read write"), badReq, malformed},
		{"tab within", get("Bearer read\twrite"), badReq, malformed},
		{"space after", get("Bearer read "), badReq, malformed},
		{"space before the scheme", get(" Bearer read"), badReq, malformed},
		{"scheme twice", get("Bearer Bearer read"), badReq, malformed},
		{"behind basic", get("Basic YTpi, Bearer read"), badReq, malformed},
		{"behind basic, no space", get("Basic YTpi,bearer read"), badReq, malformed},
		{"before a scheme alone", get("Bearer,Bearer read"), badReq, malformed},

		{"comma within", get("Bearer read,write"), badReq, twoTokens},
		{"comma after", get("Bearer read,"), badReq, twoTokens},
		{"joined fields", get("Bearer read, Bearer write"), badReq, twoTokens},
		{"joined with basic", get("Bearer read, Basic YTpi"), badReq, twoTokens},
		{"two fields", get("Bearer read", "Bearer write"), badReq, twoTokens},
		{"two equal fields", get("Bearer read", "Bearer read"), badReq, twoTokens},
		{"basic and bearer", get("Basic YTpi", "Bearer read"), badReq, twoTokens},
		{"an empty field and bearer", get("", "Bearer read"), badReq, twoTokens},
		{"header and query", do("GET", "/?access_token=read", "Bearer read"), badReq, twoTokens},
		{"header and query, later", do("GET", "/?a=b&access_token=read", "Bearer read"), badReq, twoTokens},
		{"header and query, no value", do("GET", "/?access_token", "Bearer read"), badReq, twoTokens},
		{"header and query, escaped", do("GET", "/?access%5Ftoken=read", "Bearer read"), badReq, twoTokens},
		{"header and other query", do("GET", "/?q=access_token&my_access_token=x&access_token2=x", "Bearer read"), admitted, ok},
		{"header and broken query", do("GET", "/?%zz=1&a=;b", "Bearer read"), admitted, ok},
		{"two, head", do("HEAD", "/", "Bearer a", "Bearer b"), headOf(badReq), twoTokens},

		{"longest", get("Bearer " + longest), invalid, refused},
		{"too long", get("Bearer " + longest + "a"), badReq, middleware.ReasonTooLong},
		{"much too long", get("Bearer " + strings.Repeat(longest, 100)), badReq, middleware.ReasonTooLong},
		{"too long for another scheme", get("Basic " + strings.Repeat("a", 9000)), badReq, middleware.ReasonTooLong},

		{"quote", get(`Bearer re"ad`), invalid, refused},
		{"backslash", get(`Bearer re\ad`), invalid, refused},
		{"not ASCII", get("Bearer réad"), invalid, refused},
		{"NUL", get("Bearer re\x00ad"), invalid, refused},
		{"CR LF", get("Bearer re\r\nX-Evil: 1"), badReq, malformed},
		{"LF", get("Bearer re\nad"), invalid, refused},
		{"percent", get("Bearer re%61d"), invalid, refused},
		{"only padding", get("Bearer ===="), invalid, refused},
		{"padding within", get("Bearer re=ad"), invalid, refused},
	}
	return []group{{"header", nil, anyToken, rows}}
}

func form(body string) *http.Request {
	r, _ := http.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// verdictGroups are all the things that a verifier may say.
func verdictGroups() []group {
	rows := []row{
		{"good", get("Bearer read"), admitted, ok},
		{"no scopes", get("Bearer none"), admitted, ok},
		{"unknown", get("Bearer unknown"), invalid, refused},
		{"unknown, head", do("HEAD", "/", "Bearer unknown"), headOf(invalid), refused},
		{"revoked", get("Bearer revoked"), invalid, refused},
		{"unrecognized", get("Bearer unrecognized"), invalid, middleware.ReasonUnrecognized},
		{"expired", get("Bearer expired"), invalid, middleware.ReasonExpired},
		{"expired this moment", get("Bearer expired-now"), invalid, middleware.ReasonExpired},
		{"expires next moment", get("Bearer expires-soon"), admitted, ok},
		{"without expiry", get("Bearer no-expiry"), admitted, ok},
		{"not yet", get("Bearer not-yet"), invalid, middleware.ReasonNotYet},
		{"from now", get("Bearer just-now"), admitted, ok},
		{"sibling", get("Bearer sibling"), invalid, middleware.ReasonAudience},
		{"longer audience", get("Bearer longer-aud"), invalid, middleware.ReasonAudience},
		{"shorter audience", get("Bearer shorter-aud"), invalid, middleware.ReasonAudience},
		{"audience in another case", get("Bearer aud-case"), invalid, middleware.ReasonAudience},
		{"audience with a slash", get("Bearer aud-slash"), invalid, middleware.ReasonAudience},
		{"no audience", get("Bearer no-aud"), invalid, middleware.ReasonAudience},
		{"empty audience", get("Bearer empty-aud"), invalid, middleware.ReasonAudience},
		{"DPoP-bound", get("Bearer jkt"), invalid, middleware.ReasonBinding},
		{"certificate-bound", get("Bearer x5t"), invalid, middleware.ReasonBinding},
		{"bound to what is not known", get("Bearer cnf-unknown"), invalid, middleware.ReasonBinding},
		{"bound to nothing", get("Bearer cnf-empty"), invalid, middleware.ReasonBinding},

		{"down", get("Bearer down"), outage, middleware.ReasonUnavailable},
		{"down, head", do("HEAD", "/", "Bearer down"), headOf(outage), middleware.ReasonUnavailable},
		{"down for a while", get("Bearer down-3s"), retryAfter("3"), middleware.ReasonUnavailable},
		{"down, wrapped", get("Bearer down-wrapped"), retryAfter("7"), middleware.ReasonUnavailable},
		{"down, not known how long", get("Bearer down-unknown"), outage, middleware.ReasonUnavailable},
		{"down for days", get("Bearer down-for-days"), retryAfter("3600"), middleware.ReasonUnavailable},
		{"timeout", get("Bearer timeout"), outage, middleware.ReasonUnavailable},
		{"neither token nor error", get("Bearer nothing"), outage, middleware.ReasonBroken},
		{"panic", get("Bearer panic"), outage, middleware.ReasonBroken},
		{"panic to abort", get("Bearer abort"), outage, middleware.ReasonBroken},
	}
	return []group{
		{"verdict", nil, anyToken, rows},
		{"optional", nil, middleware.Policy{Scopes: scopes.AnyToken(), Optional: true}, []row{
			{"nothing", get(), anonymous, stranger},
			{"basic", get("Basic YTpi"), anonymous, stranger},
			{"good", get("Bearer read"), admitted, ok},
			{"bad", get("Bearer unknown"), invalid, refused},
			{"expired", get("Bearer expired"), invalid, middleware.ReasonExpired},
			{"two", get("Bearer read", "Bearer read"), badReq, twoTokens},
			{"two, one not bearer", get("Basic YTpi", "Bearer read"), badReq, twoTokens},
			{"hidden", get("Basic YTpi, Bearer read"), badReq, malformed},
			{"empty", get("Bearer "), badReq, malformed},
			{"too long", get("Bearer " + longest + "a"), badReq, middleware.ReasonTooLong},
			{"down", get("Bearer down"), outage, middleware.ReasonUnavailable},
		}},
		{"optional with scopes", nil, middleware.Policy{Scopes: scopes.All("write"), Optional: true}, []row{
			{"nothing", get(), anonymous, stranger},
			{"good", get("Bearer write"), admitted, ok},
			{"other scope", get("Bearer read"), needs("write"), scope},
		}},
	}
}

// configGroups are the settings of a guard.
func configGroups() []group {
	return []group{
		{"any audience", func(c *middleware.Config) {
			c.Audience, c.DangerouslyAnyAudience = nil, true
		}, anyToken, []row{
			{"ours", get("Bearer read"), admitted, ok},
			{"sibling", get("Bearer sibling"), admitted, ok},
			{"none", get("Bearer no-aud"), admitted, ok},
			{"expired", get("Bearer expired"), invalid, middleware.ReasonExpired},
		}},
		{"two audiences", func(c *middleware.Config) {
			c.Audience = []string{"https://sibling.example", "urn:other"}
		}, anyToken, []row{
			{"first", get("Bearer sibling"), admitted, ok},
			{"none", get("Bearer read"), invalid, middleware.ReasonAudience},
		}},
		{"realm", func(c *middleware.Config) { c.Realm = `the "house" \ garden` }, anyToken, []row{
			{"nothing", get(), realm(bare, `"the \"house\" \\ garden"`), noToken},
			{"unknown", get("Bearer unknown"), realm(invalid, `"the \"house\" \\ garden"`), refused},
		}},
		{"retry after", func(c *middleware.Config) { c.RetryAfter = 29500 * time.Millisecond }, anyToken, []row{
			{"down", get("Bearer down"), retryAfter("30"), middleware.ReasonUnavailable},
			{"the verifier knows better", get("Bearer down-3s"), retryAfter("3"), middleware.ReasonUnavailable},
			{"panic", get("Bearer panic"), retryAfter("30"), middleware.ReasonBroken},
		}},
		{"all scopes", nil, middleware.Policy{Scopes: scopes.All("read", "write")}, []row{
			{"both", get("Bearer read-write"), admitted, ok},
			{"one", get("Bearer read"), needs("read write"), scope},
			{"none", get("Bearer none"), needs("read write"), scope},
			{"longer name", get("Bearer reader"), needs("read write"), scope},
			{"other case", get("Bearer READ"), needs("read write"), scope},
			{"one, head", do("HEAD", "/", "Bearer read"), headOf(needs("read write")), scope},
			{"nothing", get(), bare, noToken},
			{"unknown", get("Bearer unknown"), invalid, refused},
			{"expired", get("Bearer expired"), invalid, middleware.ReasonExpired},
		}},
		{"alternatives", nil, middleware.Policy{Scopes: scopes.All("read", "write").Or(scopes.All("admin"))}, []row{
			{"first", get("Bearer read-write"), admitted, ok},
			{"second", get("Bearer admin"), admitted, ok},
			{"half of the first", get("Bearer read"), needs("read write"), scope},
			{"none", get("Bearer none"), needs("admin"), scope},
		}},
		{"bodies with scopes", func(c *middleware.Config) { c.ErrorWithScopes = true },
			middleware.Policy{Scopes: scopes.All("read", "write")}, []row{
				{"one", get("Bearer read"), strings.Replace(needs("read write"),
					"\"}\n", "\",\"required_scopes\":[\"read\",\"write\"]}\n", 1), scope},
				{"one, head", do("HEAD", "/", "Bearer read"), headOf(needs("read write")), scope},
				{"unknown", get("Bearer unknown"), invalid, refused},
				{"down", get("Bearer down"), outage, middleware.ReasonUnavailable},
			}},
	}
}
