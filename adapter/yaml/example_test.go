package yaml_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/middleware"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "routes.yaml")
	err = os.WriteFile(path, []byte("routes:\n  - route: GET /health\n    public: true\n"), 0o600)
	if err != nil {
		panic(err)
	}

	guard, err := middleware.New(middleware.Config{
		Verifier: sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) { return nil, sneck.ErrInvalid }),
		Audience: []string{"https://songs.example"},
	})
	if err != nil {
		panic(err)
	}
	routes, err := yaml.Open(guard, path, nil)
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go routes.Watch(ctx, 5*time.Second)

	api := routes.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	for _, path := range []string{"/health", "/songs"} {
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		fmt.Println(path, rec.Code)
	}
	// Output:
	// /health 200
	// /songs 401
}
