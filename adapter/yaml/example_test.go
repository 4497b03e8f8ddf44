package yaml_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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

// A program's own configuration is read as strictly. What only the program knows
// to be wrong is said of the same place in the file.
func ExampleDecode() {
	config := struct {
		Listen   string        `yaml:"listen" doc:"the address to listen on"`
		Issuer   string        `yaml:"issuer,required" example:"https://as.example"`
		Lifetime time.Duration `yaml:"access_token_expire_seconds" min:"1"`
		Mode     string        `yaml:"dpop" enum:"off,optional,strict"`
	}{Listen: "127.0.0.1:8080"} // the defaults
	source, _ := yaml.Decode("sneck.yaml", []byte(`
issuer: http://as.example
acces_token_expire_seconds: 3600
dpop: strickt
`), &config)
	if !strings.HasPrefix(config.Issuer, "https://") {
		source.Wrong("is no https URL", "issuer")
	}
	fmt.Println(source.Err())
	// Output:
	// sneck.yaml:2:9: issuer: is no https URL
	// sneck.yaml:3:1: acces_token_expire_seconds: is an unknown key (hint: did you mean access_token_expire_seconds?)
	// sneck.yaml:4:7: dpop: "strickt" is none of off, optional, strict (hint: did you mean strict?)
}
