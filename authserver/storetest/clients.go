package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// TestClients checks everything that a registry of clients must keep. open
// returns an empty one each time.
func TestClients(t *testing.T, open func(t *testing.T) authserver.ClientRegistry) {
	t.Helper()
	runClients(&tester{t}, func(t T) authserver.ClientRegistry { return open(t.(*tester).T) })
}

func runClients(t T, open func(T) authserver.ClientRegistry) {
	t.Helper()
	for _, test := range []struct {
		name string
		f    func(T, authserver.ClientRegistry)
	}{
		{"RoundTrip", testClientRoundTrip},
		{"Create", testClientCreate},
		{"CreateExactlyOnceUnderConcurrency", testClientCreateConcurrently},
		{"Replace", testClientReplace},
		{"Delete", testClientDelete},
		{"List", testClientList},
		{"Invalid", testClientInvalid},
		{"Change", testClientChange},
		{"CancelledContext", testClientCancelled},
	} {
		t.Run(test.name, func(t T) { test.f(t, open(t)) })
	}
}

// client returns a client with every field set.
func client(id string) *authserver.Client {
	return &authserver.Client{
		ID: id, Name: "Né 世界",
		Secrets: []authserver.Secret{
			{Hash: authserver.HashGenerated("x"), Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)},
			{Hash: authserver.HashGenerated("y")},
		},
		AuthMethod: "client_secret_post", Grants: []string{"client_credentials", "authorization_code"},
		RedirectURIs: []string{"https://a.example.com/cb?x=1"}, RedirectSchemes: []string{"https"},
		Scopes: scopes.Set{"a", "b"}, DefaultScopes: scopes.Set{"b"},
		Audience: []string{"x"}, Resources: []string{"https://y.example.com"}, Introspect: true, Serves: []string{"z"},
		AccessTokenTTL: time.Minute, AccessTokenFormat: authserver.FormatJWT, CertificateBound: true, DPoPBound: true,
	}
}

// keyed returns clients with the fields that do not go with the others.
func keyed() []*authserver.Client {
	return []*authserver.Client{
		{
			ID: "key", AuthMethod: "private_key_jwt", AuthAlgorithm: "EdDSA",
			JWKS: json.RawMessage(`{"x":"<é>","keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`),
		},
		{ID: "far", AuthMethod: "private_key_jwt", JWKSURI: "https://a.example.com/keys?x=1"},
		{ID: "name", AuthMethod: "tls_client_auth", Certificate: authserver.ClientCertificate{Subject: "CN=é\\,x,O=y"}},
		{ID: "mac", AuthMethod: "client_secret_jwt", Secrets: []authserver.Secret{{Sealed: "$aes256-gcm$x$AAAA"}}},
	}
}

func hasClient(t T, s authserver.Clients, want *authserver.Client) {
	t.Helper()
	got, err := s.Client(t.Context(), want.ID)
	if err != nil {
		t.Fatalf("Client: %v", err)
	}
	if got.JWKS != nil { // which are not bytes but JSON
		got, want = clearKeys(t, got), clearKeys(t, want)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got client\n%+v\nwant\n%+v", got, want)
	}
}

// clearKeys returns a client whose JWKS is in one way of writing.
func clearKeys(t T, c *authserver.Client) *authserver.Client {
	t.Helper()
	var keys any
	must(t, json.Unmarshal(c.JWKS, &keys))
	data, err := json.Marshal(keys)
	must(t, err)
	same := *c
	same.JWKS = data
	return &same
}

func testClientRoundTrip(t T, s authserver.ClientRegistry) {
	wantErr(t, authserver.ErrNotFound, func() error { _, err := s.Client(t.Context(), "full"); return err })
	given := client("full")
	must(t, s.PutClient(t.Context(), given))
	must(t, s.PutClient(t.Context(), &authserver.Client{ID: "bare"}))
	hasClient(t, s, client("full"))
	hasClient(t, s, &authserver.Client{ID: "bare"})
	for i, c := range keyed() {
		must(t, s.PutClient(t.Context(), c))
		hasClient(t, s, keyed()[i])
	}
	for _, id := range []string{"FULL", "ful", "full ", "", "f%"} {
		wantErr(t, authserver.ErrNotFound, func() error { _, err := s.Client(t.Context(), id); return err })
	}
	// The caller may go on to use what it handed over.
	given.Name, given.Scopes[0], given.Secrets[0].Hash = "x", "x", "x"
	hasClient(t, s, client("full"))
}

func testClientCreate(t T, s authserver.ClientRegistry) {
	must(t, s.CreateClient(t.Context(), client("c")))
	hasClient(t, s, client("c"))
	wantErr(t, authserver.ErrExists, func() error {
		return s.CreateClient(t.Context(), &authserver.Client{ID: "c", Name: "somebody else"})
	})
	hasClient(t, s, client("c"))
	must(t, s.DeleteClient(t.Context(), "c"))
	must(t, s.CreateClient(t.Context(), &authserver.Client{ID: "c"}))
	hasClient(t, s, &authserver.Client{ID: "c"})
}

func testClientCreateConcurrently(t T, s authserver.ClientRegistry) {
	var mu sync.Mutex
	var won []string
	together(func(i int) {
		name := fmt.Sprint("caller ", i)
		switch err := s.CreateClient(t.Context(), &authserver.Client{ID: "c", Name: name}); {
		case err == nil:
			mu.Lock()
			defer mu.Unlock()
			won = append(won, name)
		case !errors.Is(err, authserver.ErrExists):
			t.Errorf("concurrent create: got error %v", err)
		}
	})
	if len(won) != 1 {
		t.Fatalf("%q have created the same client", won)
	}
	hasClient(t, s, &authserver.Client{ID: "c", Name: won[0]})
}

func testClientReplace(t T, s authserver.ClientRegistry) {
	must(t, s.PutClient(t.Context(), client("c")))
	held, err := s.Client(t.Context(), "c")
	must(t, err)
	must(t, s.PutClient(t.Context(), &authserver.Client{ID: "c", Name: "new"}))
	hasClient(t, s, &authserver.Client{ID: "c", Name: "new"})
	if !reflect.DeepEqual(held, client("c")) {
		t.Errorf("a client that somebody holds has changed")
	}
}

func testClientDelete(t T, s authserver.ClientRegistry) {
	must(t, s.PutClient(t.Context(), client("c")))
	must(t, s.PutClient(t.Context(), client("d")))
	must(t, s.DeleteClient(t.Context(), "c"))
	must(t, s.DeleteClient(t.Context(), "c"))
	wantErr(t, authserver.ErrNotFound, func() error { _, err := s.Client(t.Context(), "c"); return err })
	hasClient(t, s, client("d"))
}

func testClientList(t T, s authserver.ClientRegistry) {
	for _, i := range []int{3, 1, 4, 0, 2} {
		must(t, s.PutClient(t.Context(), client(fmt.Sprint("c", i))))
	}
	must(t, s.PutClient(t.Context(), client("B")))
	var got []string
	after := ""
	for {
		page, err := s.ListClients(t.Context(), after, 4)
		must(t, err)
		for _, c := range page {
			if !reflect.DeepEqual(c, client(c.ID)) {
				t.Errorf("got client %+v", c)
			}
			got, after = append(got, c.ID), c.ID
		}
		if len(page) < 4 {
			break
		}
	}
	if want := []string{"B", "c0", "c1", "c2", "c3", "c4"}; !reflect.DeepEqual(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}

func testClientInvalid(t T, s authserver.ClientRegistry) {
	for _, write := range []func(context.Context, *authserver.Client) error{s.CreateClient, s.PutClient} {
		if write(t.Context(), &authserver.Client{ID: "c", AuthMethod: "nonsense"}) == nil {
			t.Errorf("a client was not checked")
		}
	}
	wantErr(t, authserver.ErrNotFound, func() error { _, err := s.Client(t.Context(), "c"); return err })
}

// testClientChange is for registries that are an [authserver.ClientChanger].
func testClientChange(t T, s authserver.ClientRegistry) {
	changer, ok := s.(authserver.ClientChanger)
	if !ok {
		return
	}
	rename := func(name string) func(*authserver.Client) (*authserver.Client, error) {
		return func(c *authserver.Client) (*authserver.Client, error) {
			changed := *c
			changed.Name = name
			return &changed, nil
		}
	}
	wantErr(t, authserver.ErrNotFound, func() error { return changer.ChangeClient(t.Context(), "c", rename("x")) })
	must(t, s.PutClient(t.Context(), client("c")))
	must(t, s.PutClient(t.Context(), client("d")))
	held, err := s.Client(t.Context(), "c")
	must(t, err)
	must(t, changer.ChangeClient(t.Context(), "c", rename("new")))
	want := client("c")
	want.Name = "new"
	hasClient(t, s, want)
	if !reflect.DeepEqual(held, client("c")) {
		t.Errorf("a client that somebody holds has changed")
	}
	wantErr(t, errOfCaller, func() error {
		return changer.ChangeClient(t.Context(), "c", func(*authserver.Client) (*authserver.Client, error) { return nil, errOfCaller })
	})
	for _, wrong := range []*authserver.Client{nil, {ID: "d"}, {ID: "c", AuthMethod: "nonsense"}} {
		if changer.ChangeClient(t.Context(), "c", func(*authserver.Client) (*authserver.Client, error) { return wrong, nil }) == nil {
			t.Errorf("a changed client was not checked")
		}
	}
	hasClient(t, s, want)
	hasClient(t, s, client("d"))
	testClientChangeConcurrently(t, changer)
}

var errOfCaller = errors.New("an error of the caller")

// testClientChangeConcurrently has many callers add to what is there.
func testClientChangeConcurrently(t T, s authserver.ClientChanger) {
	must(t, s.PutClient(t.Context(), &authserver.Client{ID: "many"}))
	var mu sync.Mutex
	want := 0
	together(func(i int) {
		err := s.ChangeClient(t.Context(), "many", func(c *authserver.Client) (*authserver.Client, error) {
			changed := *c
			changed.Audience = append(changed.Audience[:len(changed.Audience):len(changed.Audience)], fmt.Sprint(i))
			return &changed, nil
		})
		if err != nil {
			t.Errorf("concurrent change: got error %v", err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		want++
	})
	got, err := s.Client(t.Context(), "many")
	must(t, err)
	if len(got.Audience) != want || want == 0 {
		t.Errorf("of %d changes at the same time %d are there", want, len(got.Audience))
	}
}

func testClientCancelled(t T, s authserver.ClientRegistry) {
	must(t, s.PutClient(t.Context(), client("c")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, f := range map[string]func() error{
		"Client":       func() error { _, err := s.Client(ctx, "c"); return err },
		"CreateClient": func() error { return s.CreateClient(ctx, client("d")) },
		"PutClient":    func() error { return s.PutClient(ctx, client("d")) },
		"DeleteClient": func() error { return s.DeleteClient(ctx, "c") },
		"ListClients":  func() error { _, err := s.ListClients(ctx, "", 10); return err },
	} {
		if err := f(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: got error %v", name, err)
		}
	}
	hasClient(t, s, client("c"))
}
