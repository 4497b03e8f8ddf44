// Echo protects routes of the framework Echo.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/labstack/echo/v5"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/examples/internal/songs"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func main() {
	guard, err := songs.NewGuard(os.Getenv("INTROSPECTION_URL"), os.Getenv("INTROSPECTION_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), routes(guard)))
}

func routes(guard *middleware.Guard) http.Handler {
	e := echo.New()
	e.GET("/songs", list, echo.WrapMiddleware(guard.Require(scopes.All("songs:read"))))
	e.POST("/songs", add, echo.WrapMiddleware(guard.Require(scopes.All("songs:write"))))
	e.GET("/users/:user/songs", ofUser, echo.WrapMiddleware(guard.Protect(songs.Own)))
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
