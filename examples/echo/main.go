// Echo protects routes of the framework Echo.
package main

import (
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func main() {
	guard, err := newGuard(os.Getenv("INTROSPECTION_URL"), os.Getenv("INTROSPECTION_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), routes(guard)))
}

func routes(guard *middleware.Guard) http.Handler {
	e := echo.New()
	e.GET("/songs", list, echo.WrapMiddleware(guard.Require(scopes.All("songs:read"))))
	e.POST("/songs", add, echo.WrapMiddleware(guard.Require(scopes.All("songs:write"))))
	e.GET("/users/:user/songs", ofUser, echo.WrapMiddleware(guard.Protect(own)))
	e.GET("/welcome", welcome, echo.WrapMiddleware(guard.Optional))
	return e
}

func list(c *echo.Context) error {
	return c.String(http.StatusOK, "all songs\n")
}

func add(c *echo.Context) error {
	return c.String(http.StatusCreated, "added by "+sneck.FromContext(c.Request().Context()).Subject+"\n")
}

func ofUser(c *echo.Context) error {
	return c.String(http.StatusOK, "songs of "+c.Param("user")+"\n")
}

func welcome(c *echo.Context) error {
	name := "stranger"
	if token := sneck.FromContext(c.Request().Context()); token != nil {
		name = token.Subject
	}
	return c.String(http.StatusOK, "hello "+name+"\n")
}

// own admits users to what is theirs, and to the rest with songs:admin.
var own = middleware.Policy{
	Scopes: scopes.All("songs:read"),
	ScopesOf: func(r *http.Request, t *sneck.Token) (scopes.Requirement, error) {
		if t.Subject == r.PathValue("user") {
			return scopes.All("songs:read"), nil
		}
		return scopes.All("songs:admin"), nil
	},
}

// newGuard returns a guard that asks the authorization server about each token,
// once a minute at most.
func newGuard(introspectionURL, secret string) (*middleware.Guard, error) {
	authority, err := introspect.New(introspect.Config{
		Endpoint:   introspectionURL,
		Credential: introspect.Basic("songs", secret),
	})
	if err != nil {
		return nil, err
	}
	remembered, err := cache.New(cache.Config{Verifier: authority, TTL: time.Minute})
	if err != nil {
		return nil, err
	}
	return middleware.New(middleware.Config{
		Verifier: remembered,
		Audience: []string{"https://songs.example"},
		Logger:   slog.Default(),
	})
}
