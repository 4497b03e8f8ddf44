package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/adapter/sqlite"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

const (
	// notesAudience is the identifier by which the demo's tokens are meant
	// for the notes API. Nothing is ever sent there.
	notesAudience = "https://notes.example"

	scopeRead  = "notes:read"
	scopeWrite = "notes:write"
)

// An authority is the demo's authorization server: SQLite in a temporary
// directory, one application and one API registered.
type authority struct {
	url      string
	dir      string
	app, api credentials

	introspections atomic.Int64            // requests that arrived
	hold           atomic.Pointer[holding] // delays introspection

	http     *http.Server
	listener net.Listener
	store    *sqlite.Store
}

// A holding keeps answers back until it is released, but not longer than
// patience.
type holding struct {
	released chan struct{}
	patience time.Duration
}

func (h *holding) wait(ctx context.Context) {
	select {
	case <-h.released:
	case <-ctx.Done():
	case <-time.After(h.patience):
	}
}

// startAuthority starts the authorization server on a listener, which is the
// authority's from then on.
func startAuthority(ctx context.Context, l net.Listener, log *slog.Logger) (_ *authority, err error) {
	a := &authority{url: "http://" + l.Addr().String(), listener: l}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.dir, err = os.MkdirTemp("", "sneck-demo-"); err != nil {
		return nil, fmt.Errorf("%w (hint: $TMPDIR says where temporary directories are made)", err)
	}
	if a.store, err = sqlite.Open(ctx, filepath.Join(a.dir, "sneck.db")); err != nil {
		return nil, err
	}
	server, err := authserver.New(authserver.Config{
		Issuer: a.url, Store: a.store, Clients: a.store, Logger: log,
		Scopes: scopes.Static{List: []scopes.Described{
			{Name: scopeRead, Text: "Read your notes"}, {Name: scopeWrite, Text: "Write notes"},
		}},
		ClientSecretLength: authserver.MinSecretLength, // they are to fit on a line
	})
	if err != nil {
		return nil, err
	}
	a.app, err = a.register(ctx, server, authserver.Client{
		ID: "app", Grants: []string{authserver.GrantClientCredentials},
		Scopes: scopes.Set{scopeRead, scopeWrite}, Audience: []string{notesAudience},
	})
	if err != nil {
		return nil, err
	}
	a.api, err = a.register(ctx, server, authserver.Client{
		ID: "notes-api", Introspect: true, Serves: []string{notesAudience},
	})
	if err != nil {
		return nil, err
	}
	a.http = newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/introspect" {
			a.introspections.Add(1)
			if h := a.hold.Load(); h != nil {
				h.wait(r.Context())
			}
		}
		server.ServeHTTP(w, r)
	}), log)
	go a.http.Serve(l) // ends with close
	return a, nil
}

func (a *authority) register(ctx context.Context, s *authserver.Server, c authserver.Client) (credentials, error) {
	client, secret, err := s.NewClient(ctx, c, true)
	if err != nil {
		return credentials{}, err
	}
	return credentials{client.ID, secret}, a.store.PutClient(ctx, client)
}

// stop makes the server unreachable at once.
func (a *authority) stop() error {
	if a.http == nil {
		return a.listener.Close()
	}
	return a.http.Close()
}

// close stops the server and removes its data.
func (a *authority) close() error {
	errs := []error{a.stop()}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.dir != "" {
		errs = append(errs, os.RemoveAll(a.dir))
	}
	return errors.Join(errs...)
}

// A notesAPI is a resource server: a list of notes behind a guard, which asks
// the authority over HTTP and remembers the answers.
type notesAPI struct {
	url     string
	ttl     time.Duration
	http    *http.Server
	client  *introspect.Client
	cache   *cache.Cache
	arrived atomic.Pointer[countdown] // told about every request before it is checked

	mu    sync.Mutex
	notes []note
}

// A note is what the API is about.
type note struct {
	ID   int    `json:"id"`
	By   string `json:"by"`
	Text string `json:"text"`
}

// An apiConfig is what differs between the APIs of the demo.
type apiConfig struct {
	listen  string        // address
	ttl     time.Duration // how long answers are remembered
	timeout time.Duration // how long an introspection may take; zero means the usual
	log     *slog.Logger
}

// startNotesAPI starts the API on a listener, which is the API's from then on.
func startNotesAPI(l net.Listener, as *authority, config apiConfig) (_ *notesAPI, err error) {
	api := &notesAPI{url: "http://" + l.Addr().String(), ttl: config.ttl, notes: []note{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close(), api.close())
		}
	}()
	if api.client, err = introspect.New(introspect.Config{
		Endpoint:   as.url + "/introspect",
		Issuer:     as.url,
		Credential: introspect.Basic(as.api.id, as.api.secret),
		Recognize:  recognize,
		Timeout:    config.timeout,
		Logger:     config.log,
	}); err != nil {
		return nil, err
	}
	if api.cache, err = cache.New(cache.Config{
		Verifier: api.client, TTL: config.ttl, FlightTimeout: config.timeout, MaxBytes: 4 << 20, Logger: config.log,
	}); err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{
		Verifier: api.cache, Audience: []string{notesAudience}, Realm: "notes", Logger: config.log,
	})
	if err != nil {
		return nil, err
	}
	read, write := guard.Require(scopes.All(scopeRead)), guard.Require(scopes.All(scopeWrite))
	mux := http.NewServeMux()
	mux.Handle("GET /notes", read(http.HandlerFunc(api.list)))
	mux.Handle("POST /notes", write(http.HandlerFunc(api.add)))
	mux.Handle("DELETE /notes", write(http.HandlerFunc(api.clear)))
	api.http = newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.arrived.Load().count()
		mux.ServeHTTP(w, r)
	}), config.log)
	go api.http.Serve(l) // ends with close
	return api, nil
}

// recognize refuses what is no token of the demo's authority, so that nobody
// is asked about garbage.
func recognize(token string) error {
	if !authserver.WellFormed(token) {
		return fmt.Errorf("not a token of the authority: %w", sneck.ErrInvalid)
	}
	return nil
}

func (api *notesAPI) close() error {
	var errs []error
	if api.http != nil {
		errs = append(errs, api.http.Close())
	}
	if api.cache != nil {
		errs = append(errs, api.cache.Close())
	}
	if api.client != nil {
		errs = append(errs, api.client.Close())
	}
	return errors.Join(errs...)
}

func (api *notesAPI) list(w http.ResponseWriter, _ *http.Request) {
	api.mu.Lock()
	notes := api.notes[:len(api.notes):len(api.notes)]
	api.mu.Unlock()
	writeJSON(w, http.StatusOK, notes)
}

// maxNote and maxNotes bound what visitors can leave behind.
const (
	maxNote  = 4 << 10
	maxNotes = 1000
)

func (api *notesAPI) add(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNote))
	if err != nil {
		http.Error(w, "a note has at most 4096 bytes", http.StatusRequestEntityTooLarge)
		return
	}
	n, ok := api.keep(note{By: sneck.FromContext(r.Context()).Subject, Text: string(text)})
	if !ok {
		http.Error(w, "there is no room for more notes", http.StatusInsufficientStorage)
		return
	}
	writeJSON(w, http.StatusCreated, n)
}

// keep numbers a note and adds it to the list, if there is room.
func (api *notesAPI) keep(n note) (note, bool) {
	api.mu.Lock()
	defer api.mu.Unlock()
	if len(api.notes) == maxNotes {
		return n, false
	}
	n.ID = len(api.notes) + 1
	api.notes = append(api.notes, n)
	return n, true
}

func (api *notesAPI) clear(w http.ResponseWriter, _ *http.Request) {
	api.mu.Lock()
	api.notes = []note{}
	api.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

// A countdown releases a holding when as many requests have arrived as were
// waited for.
type countdown struct {
	left atomic.Int64
	hold *holding
}

// count counts one request. A nil countdown does not care.
func (c *countdown) count() {
	if c != nil && c.left.Add(-1) == 0 {
		close(c.hold.released)
	}
}

// A scene is all that the demo runs.
type scene struct {
	authority *authority
	apis      []*notesAPI
}

// startScene starts an authority and an API for each of the configurations.
// Only this machine can reach them.
func startScene(ctx context.Context, asListen string, log *slog.Logger, apis ...apiConfig) (_ *scene, err error) {
	s := &scene{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	l, err := listenHere(ctx, "--as-listen", asListen)
	if err != nil {
		return nil, err
	}
	if s.authority, err = startAuthority(ctx, l, log); err != nil {
		return nil, fmt.Errorf("start the authorization server: %w", err)
	}
	for _, config := range apis {
		l, err := listenHere(ctx, "--api-listen", config.listen)
		if err != nil {
			return nil, err
		}
		api, err := startNotesAPI(l, s.authority, config)
		if err != nil {
			return nil, fmt.Errorf("start the notes API: %w", err)
		}
		s.apis = append(s.apis, api)
	}
	return s, nil
}

// listenHere listens where nobody outside of this machine can reach it.
func listenHere(ctx context.Context, flag, address string) (net.Listener, error) {
	l, err := listen(ctx, flag, address)
	if err != nil {
		return nil, err
	}
	if !loopback(l) {
		return nil, errors.Join(usageError(fmt.Errorf("%s %s: the demo is for this machine only", flag, address), flag+" 127.0.0.1:8080"), l.Close())
	}
	return l, nil
}

// close ends all of it.
func (s *scene) close() error {
	var errs []error
	for _, api := range s.apis {
		errs = append(errs, api.close())
	}
	if s.authority != nil {
		errs = append(errs, s.authority.close())
	}
	return errors.Join(errs...)
}
