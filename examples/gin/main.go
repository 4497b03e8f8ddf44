// Gin protects routes of the framework Gin.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/examples/internal/songs"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	guard, err := songs.NewGuard(os.Getenv("INTROSPECTION_URL"), os.Getenv("INTROSPECTION_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), routes(guard)))
}

func routes(guard *middleware.Guard) http.Handler {
	r := gin.New()
	r.GET("/songs", guarded(guard.Require(scopes.All("songs:read"))), list)
	r.POST("/songs", guarded(guard.Require(scopes.All("songs:write"))), add)
	r.GET("/users/:user/songs", guarded(guard.Protect(songs.Own)), ofUser)
	r.GET("/welcome", guarded(guard.Optional), welcome)
	return r
}

// guarded makes a handler of Gin from middleware for net/http. The middleware
// finds the parameters of the path with [http.Request.PathValue], and the
// pattern of the route in its place. What is refused gets no further.
func guarded(protect func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Request.Pattern = c.FullPath()
		for _, p := range c.Params {
			c.Request.SetPathValue(p.Key, p.Value)
		}
		admitted := false
		next := func(_ http.ResponseWriter, r *http.Request) {
			admitted = true
			c.Request = r // its context has the token
			c.Next()
		}
		protect(http.HandlerFunc(next)).ServeHTTP(c.Writer, c.Request)
		if !admitted {
			c.Abort() // else Gin would call the handler all the same
		}
	}
}

func list(c *gin.Context) {
	c.String(http.StatusOK, "all songs\n")
}

func add(c *gin.Context) {
	c.String(http.StatusCreated, "added by %s\n", sneck.FromContext(c.Request.Context()).Subject)
}

func ofUser(c *gin.Context) {
	c.String(http.StatusOK, "songs of %s\n", c.Param("user"))
}

func welcome(c *gin.Context) {
	name := "stranger"
	if token := sneck.FromContext(c.Request.Context()); token != nil {
		name = token.Subject
	}
	c.String(http.StatusOK, "hello %s\n", name)
}
