package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/middleware"
)

// change returns r after the changes.
func change(r *http.Request, changes ...func(*http.Request)) *http.Request {
	for _, c := range changes {
		c(r)
	}
	return r
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func method(m string) func(*http.Request) {
	return func(r *http.Request) { r.Method = m }
}

// sourceGroups are the ways to send a token that must be allowed.
func sourceGroups() []group {
	private := strings.Replace(admitted, "Content-Type", "Cache-Control: private\nContent-Type", 1)
	const cookie = "Cookie"
	session := func(value string, more ...func(*http.Request)) *http.Request {
		return change(change(get(), set(cookie, "session="+value)), more...)
	}
	const siteText = "The request came from another site"
	crossOrigin := refusal("403", "invalid_request", siteText, bearerOffer+params("invalid_request", siteText))

	return []group{
		{"query", func(c *middleware.Config) { c.AllowQuery = true }, anyToken, []row{
			{"get", do("GET", "/?access_token=read"), private, ok},
			{"among others", do("GET", "/?a=b&access_token=read&c"), private, ok},
			{"escaped", do("GET", "/?access%5Ftoken=r%65ad"), private, ok},
			{"unknown", do("GET", "/?access_token=unknown"), invalid, refused},
			{"header", get("Bearer read"), admitted, ok},
			{"nothing", get(), bare, noToken},
			{"other parameter", do("GET", "/?token=read"), bare, noToken},
			{"other case", do("GET", "/?Access_Token=read"), bare, noToken},
			{"head", do("HEAD", "/?access_token=read"), bare, noToken},
			{"post", do("POST", "/?access_token=read"), bare, noToken},
			{"lower case method", do("get", "/?access_token=read"), bare, noToken},
			{"in the fragment", change(get(), func(r *http.Request) { r.URL.Fragment = "access_token=read" }), bare, noToken},
			{"twice", do("GET", "/?access_token=read&access_token=read"), badReq, twoTokens},
			{"twice, once escaped", do("GET", "/?access_token=read&access%5ftoken=read"), badReq, twoTokens},
			{"and header", do("GET", "/?access_token=read", "Bearer read"), badReq, twoTokens},
			{"and header, post", do("POST", "/?access_token=read", "Bearer read"), badReq, twoTokens},
			{"empty", do("GET", "/?access_token="), badReq, malformed},
			{"no value", do("GET", "/?access_token"), badReq, malformed},
			{"bad escape", do("GET", "/?access_token=%zz"), badReq, malformed},
			{"space", do("GET", "/?access_token=a+b"), badReq, malformed},
			{"line break", do("GET", "/?access_token=a%0d%0aX-Evil:1"), badReq, malformed},
			{"semicolon", do("GET", "/?access_token=read;access_token=read"), badReq, malformed},
			{"too long", do("GET", "/?access_token="+longest+"a"), badReq, middleware.ReasonTooLong},
		}},
		{"form", func(c *middleware.Config) { c.AllowFormBody = true }, anyToken, []row{
			{"post", form("access_token=read"), admitted, ok},
			{"put", change(form("access_token=read"), method("PUT")), admitted, ok},
			{"patch", change(form("a=b&access_token=read"), method("PATCH")), admitted, ok},
			{"charset", change(form("access_token=read"), set("Content-Type", "Application/X-WWW-Form-urlencoded; charset=UTF-8")), admitted, ok},
			{"long, and header", change(form(strings.Repeat("a", 100_000)), set("Authorization", "Bearer read")), admitted, ok},
			{"header", get("Bearer read"), admitted, ok},
			{"get", change(form("access_token=read"), method("GET")), bare, noToken},
			{"head", change(form("access_token=read"), method("HEAD")), bare, noToken},
			{"delete", change(form("access_token=read"), method("DELETE")), bare, noToken},
			{"multipart", change(form("access_token=read"), set("Content-Type", "multipart/form-data; boundary=x")), bare, noToken},
			{"json", change(form(`{"access_token":"read"}`), set("Content-Type", "application/json")), bare, noToken},
			{"no type", change(form("access_token=read"), func(r *http.Request) { r.Header.Del("Content-Type") }), bare, noToken},
			{"two types", change(form("access_token=read"), func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }), bare, noToken},
			{"malformed type", change(form("access_token=read"), set("Content-Type", "application/x-www-form-urlencoded; =")), bare, noToken},
			{"compressed", change(form("access_token=read"), set("Content-Encoding", "gzip")), bare, noToken},
			{"no body", change(do("POST", "/"), set("Content-Type", "application/x-www-form-urlencoded"), func(r *http.Request) { r.Body = nil }), bare, noToken},
			{"too long a form", form("access_token=read&a=" + strings.Repeat("a", 64<<10)), bare, noToken},
			{"query", do("POST", "/?access_token=read"), bare, noToken},
			{"twice", form("access_token=read&access_token=read"), badReq, twoTokens},
			{"and header", change(form("access_token=read"), set("Authorization", "Bearer read")), badReq, twoTokens},
			{"and query", change(form("access_token=read"), func(r *http.Request) { r.URL.RawQuery = "access_token=read" }), badReq, twoTokens},
			{"not ASCII", form("access_token=read&name=Zoë"), badReq, malformed},
			{"empty", form("access_token="), badReq, malformed},
			{"broken off", change(form(""), func(r *http.Request) {
				r.Body = io.NopCloser(io.MultiReader(strings.NewReader("access_token=re"), broken{}))
			}), badReq, malformed},
		}},
		{"cookie", func(c *middleware.Config) { c.AllowCookie = "session" }, anyToken, []row{
			{"get", session("read"), admitted, ok},
			{"header", get("Bearer read"), admitted, ok},
			{"post, same origin", session("read", method("POST"), set("Sec-Fetch-Site", "same-origin")), admitted, ok},
			{"post, not a browser", session("read", method("POST")), admitted, ok},
			{"get, cross-site", session("read", set("Sec-Fetch-Site", "cross-site")), admitted, ok},
			{"post, cross-site", session("read", method("POST"), set("Sec-Fetch-Site", "cross-site")), crossOrigin, middleware.ReasonCrossOrigin},
			{"post, same site", session("read", method("POST"), set("Sec-Fetch-Site", "same-site")), crossOrigin, middleware.ReasonCrossOrigin},
			{"post, other origin", session("read", method("POST"), set("Origin", "https://evil.example")), crossOrigin, middleware.ReasonCrossOrigin},
			{"websocket, same origin", session("read", set("Upgrade", "websocket"), set("Sec-Fetch-Site", "same-origin")), admitted, ok},
			{"websocket, not a browser", session("read", set("Upgrade", "websocket")), admitted, ok},
			{"websocket, cross-site", session("read", set("Upgrade", "websocket"), set("Sec-Fetch-Site", "cross-site")), crossOrigin, middleware.ReasonCrossOrigin},
			{"websocket, other origin", session("read", set("Upgrade", "websocket"), set("Origin", "https://evil.example")), crossOrigin, middleware.ReasonCrossOrigin},
			{"websocket, other origin, by HTTP/2", session("read", method("CONNECT"), set("Origin", "https://evil.example")), crossOrigin, middleware.ReasonCrossOrigin},
			{"websocket, other origin, by header", change(get("Bearer read"), set("Upgrade", "websocket"), set("Origin", "https://evil.example")), admitted, ok},
			{"post, cross-site, by header", change(do("POST", "/", "Bearer read"), set("Sec-Fetch-Site", "cross-site")), admitted, ok},
			{"other cookie", change(get(), set(cookie, "Session=read; access_token=read")), bare, noToken},
			{"signed out", session(""), bare, noToken},
			{"twice", session("read; session=write"), badReq, twoTokens},
			{"and header", change(get("Bearer read"), set(cookie, "session=read")), badReq, twoTokens},
			{"not a token", session("re:ad"), badReq, malformed},
			{"unknown", session("unknown"), invalid, refused},
			{"too long", session(longest + "a"), badReq, middleware.ReasonTooLong},
		}},
		{"all sources", func(c *middleware.Config) { c.AllowQuery, c.AllowFormBody, c.AllowCookie = true, true, "session" }, anyToken, []row{
			{"cookie and query", change(do("GET", "/?access_token=read"), set(cookie, "session=read")), badReq, twoTokens},
			{"cookie and form", change(form("access_token=read"), set(cookie, "session=read")), badReq, twoTokens},
			{"cookie", session("read"), admitted, ok},
		}},
	}
}

// broken fails like the body of a client that left.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What a handler sees of a request whose token was not in the header.
func TestHandlerSeesCleanRequest(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) { c.AllowQuery, c.AllowFormBody = true, true })
	handler := guard.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		fmt.Fprintf(w, "%s %s %s %d", r.URL, r.RequestURI, body, r.ContentLength)
	}))
	serve := func(r *http.Request) string {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		return rec.Body.String()
	}

	r := do("GET", "/a%2fb?x=%20&access_token=read&y")
	assert.Equal(t, "/a%2fb?x=%20&y /a%2fb?x=%20&y  0", serve(r))
	assert.Equal(t, "x=%20&access_token=read&y", r.URL.RawQuery, "the caller's request is not touched")

	body := "a=b&access_token=read"
	assert.Equal(t, "/  "+body+fmt.Sprint(" ", len(body)), serve(form(body)))

	long := strings.Repeat("a", 200_000)
	r = change(form(long), set("Authorization", "Bearer read"))
	assert.Equal(t, "/  "+long+" 200000", serve(r))
}
