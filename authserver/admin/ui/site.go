package ui

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/pages"
)

// Path is where the pages are.
const Path = "/admin/"

// Config configures a [Site]. Operations, and in Pages the Issuer, Store and
// Clients, are mandatory.
type Config struct {
	// Operations is what the pages do.
	Operations *admin.Operations
	// Pages says what they look like, and how people sign in. Its Issuer is the
	// URL at which browsers reach these pages: if they share a host with
	// others, these get the cookies as well, whatever the port. Its Section is
	// set here.
	Pages pages.Config
	// May says whether somebody may administer the server. If nil, those may
	// whose account is an administrator's; with Pages.CheckPassword it must be
	// set, as there are no accounts then.
	May func(ctx context.Context, who *pages.Account) (bool, error)
	// SignedInFor is how long ago somebody may have signed in; zero means an
	// hour.
	SignedInFor time.Duration
}

const (
	defaultSignedInFor = time.Hour
	sessionLife        = 12 * time.Hour // after which the name has to be typed as well
)

// A Site is the pages. Make it with [New]. It is safe for concurrent use.
type Site struct {
	config Config
	pages  *pages.Site
	routes map[string]route
	admin  http.Handler
}

//go:embed files
var files embed.FS

// New returns the pages, or every mistake in the config.
func New(c Config) (*Site, error) {
	var errs []error
	if c.Operations == nil {
		errs = append(errs, errors.New("ui: Operations is missing (hint: admin.New)"))
	}
	if c.Pages.CheckPassword != nil && c.May == nil {
		errs = append(errs, errors.New("ui: May is missing, and there are no accounts (hint: say who is an administrator)"))
	}
	if c.SignedInFor < 0 || c.SignedInFor > sessionLife {
		errs = append(errs, fmt.Errorf("ui: SignedInFor %v is not between 0 and %v (hint: leave it out)", c.SignedInFor, sessionLife))
	}
	if c.SignedInFor == 0 {
		c.SignedInFor = defaultSignedInFor
	}
	own, err := fs.Sub(files, "files")
	if err != nil {
		return nil, err
	}
	c.Pages.Section = pages.Section{
		Name: "admin", Home: Path, Files: own, Layout: "admin.html",
		Pages: []string{"admin-list", "admin-detail", "admin-form", "admin-confirm", "admin-failed"},
	}
	if c.Pages.SessionLife == 0 || c.Pages.SessionLife > sessionLife {
		c.Pages.SessionLife = sessionLife
	}
	if c.Pages.SessionIdle == 0 || c.Pages.SessionIdle > c.Pages.SessionLife {
		c.Pages.SessionIdle = min(defaultSignedInFor, c.Pages.SessionLife)
	}
	if c.Pages.Now == nil {
		c.Pages.Now = time.Now
	}
	site, err := pages.New(c.Pages)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	if c.May == nil {
		c.May = func(ctx context.Context, who *pages.Account) (bool, error) { return site.Accounts().Admin(ctx, who.ID) }
	}
	s := &Site{config: c, pages: site, routes: routes()}
	s.admin = site.Page(c.SignedInFor, s.serve)
	return s, nil
}

// ServeHTTP implements [http.Handler]: below [Path], and with what belongs to
// it at /assets/ and /signout. "/" leads there.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := s.path(r)
	switch {
	case path == "/" || path+"/" == Path:
		http.Redirect(w, r, s.pages.Base()+Path, http.StatusSeeOther)
	case strings.HasPrefix(path, Path):
		s.admin.ServeHTTP(w, r)
	case strings.HasPrefix(path, "/assets/") || path == "/signout":
		s.pages.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// path returns the path of a request below that of the site, with which it
// comes or without.
func (s *Site) path(r *http.Request) string {
	if below, ok := strings.CutPrefix(r.URL.Path, s.pages.Base()); ok && strings.HasPrefix(below, "/") {
		return below
	}
	return r.URL.Path
}

// A route is what there is at a path. post is nil if it takes no form.
type route struct {
	// tab is the part of the navigation that it belongs to.
	tab       string
	get, post func(*visit) error
}

// routes returns all pages, by their paths below Path.
func routes() map[string]route {
	all := map[string]route{
		"":              {"overview", (*visit).overview, nil},
		"clients":       {"clients", (*visit).clients, nil},
		"clients/new":   {"clients", (*visit).clientForm, (*visit).createClient},
		"client":        {"clients", (*visit).client, nil},
		"client/edit":   {"clients", (*visit).clientForm, (*visit).changeClient},
		"client/secret": {"clients", (*visit).secretForm, (*visit).addSecret},
		"people":        {"people", (*visit).people, nil},
		"people/new":    {"people", (*visit).personForm, (*visit).createPerson},
		"person":        {"people", (*visit).person, nil},
		"tokens":        {"tokens", (*visit).tokens, nil},
		"keys":          {"keys", (*visit).keys, nil},
		"scopes":        {"scopes", (*visit).scopes, nil},
		"audit":         {"audit", (*visit).audit, nil},
	}
	for path, a := range acts() {
		all[path] = route{a.tab, a.confirm, a.perform}
	}
	return all
}

// serve answers somebody who is signed in.
func (s *Site) serve(pv *pages.Visit) error {
	may, err := s.config.May(pv.Context(), pv.Account)
	if err != nil {
		return err
	}
	v := &visit{Visit: pv, site: s, ops: s.config.Operations.As(pv.Account.ID), query: pv.Request.URL.Query()}
	if !may {
		return v.failed(http.StatusForbidden, "admin.problem.forbidden", "")
	}
	v.may = true
	where, ok := s.routes[strings.TrimPrefix(s.path(pv.Request), Path)]
	if !ok {
		return v.failed(http.StatusNotFound, "admin.problem.no_page", "")
	}
	v.tab = where.tab
	do := where.get
	if pv.Request.Method == http.MethodPost {
		if do = where.post; do == nil {
			pv.Writer.Header().Set("Allow", http.MethodGet)
			return v.failed(http.StatusMethodNotAllowed, "admin.problem.no_page", "")
		}
	}
	return v.explain(do(v))
}
