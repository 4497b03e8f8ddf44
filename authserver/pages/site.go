package pages

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/sneckauth/sneck/authserver"
)

// A Site is the pages of one server. Make one with [New]. It is safe for
// concurrent use.
type Site struct {
	config    Config
	base      string // path of the issuer: "" or "/x/y"
	insecure  bool   // without TLS
	accounts  *Accounts
	languages map[string]catalog
	templates map[string]*template.Template
	assets    map[string]asset
	local     *authserver.MemoryLimiter // when the configured one fails, and for the log
	// crossOrigin keeps forms of other sites away.
	crossOrigin http.CrossOriginProtection
}

// New returns a site, or an error that names every mistake in the config.
// Files of Config.Files are read once, here.
func New(config Config) (*Site, error) {
	config, issuer, err := config.prepare()
	if err != nil {
		return nil, err
	}
	s := &Site{config: config, base: issuer.Path, insecure: issuer.Scheme == "http"}
	s.local = authserver.NewMemoryLimiter(localKeys, config.Now)
	languages, files, err := allFiles(config.Files, config.Section.Files)
	if err != nil {
		return nil, fmt.Errorf("pages: Files: %w", err)
	}
	var errs [4]error
	s.languages, errs[0] = loadLanguages(languages)
	s.templates, errs[1] = loadTemplates(files, config.Section)
	s.assets, errs[2] = loadAssets(files)
	if config.Section.Files != nil {
		errs[3] = addTexts(s.languages, config.Section.Files)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("pages: Files: %w", err)
	}
	if config.CheckPassword == nil {
		if s.accounts, err = NewAccounts(config.Store, config.Now); err != nil {
			return nil, err
		}
		if config.Hasher != nil {
			if s.accounts, err = s.accounts.Hashing(config.Hasher); err != nil {
				return nil, err
			}
		}
		s.accounts.failed = func(ctx context.Context, a *Account, err error) {
			s.config.Logger.ErrorContext(ctx, "password not hashed anew", "subject", a.ID, "cause", err)
		}
		s.config.CheckPassword = s.accounts.SignIn
	}
	return s, nil
}

// Accounts returns the accounts of the site; nil with Config.CheckPassword.
func (s *Site) Accounts() *Accounts { return s.accounts }

// Subject is for authserver.Hooks: it ends what was issued for an account that
// is there no more.
func (s *Site) Subject(ctx context.Context, subject string) error {
	if s.accounts == nil {
		return nil
	}
	_, err := s.accounts.ByID(ctx, subject)
	if errors.Is(err, ErrNoAccount) {
		return authserver.ErrNotFound
	}
	return err
}

// Pages returns what a server shows besides its Login.
func (s *Site) Pages() authserver.Pages {
	return authserver.Pages{Error: s.showError, Device: s.showDevice, Return: s.goBack}
}

// Handler answers at the paths of the pages and passes everything else on.
func (s *Site) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if below, ok := strings.CutPrefix(path, s.base); ok && strings.HasPrefix(below, "/") {
			path = below
		}
		if name, ok := strings.CutPrefix(path, "/assets/"); ok {
			s.only(w, r, func() { s.serveAsset(w, r, name) }, http.MethodGet, http.MethodHead)
			return
		}
		var serve func(http.ResponseWriter, *http.Request) error
		switch path {
		case pathAccount:
			serve = s.serveAccount
		case pathPassword:
			serve = s.servePassword
		case pathSignOut:
			serve = s.serveSignOut
		default:
			next.ServeHTTP(w, r)
			return
		}
		s.only(w, r, func() { s.servePage(w, r, serve) }, http.MethodGet, http.MethodPost)
	})
}

// The paths below that of the issuer.
const (
	pathAccount  = "/account"
	pathPassword = "/account/password"
	pathSignOut  = "/signout"
)

// only calls serve if the method is one of those.
func (s *Site) only(w http.ResponseWriter, r *http.Request, serve func(), methods ...string) {
	for _, m := range methods {
		if r.Method == m {
			serve()
			return
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
}

// maxBody is the longest form that is read, in bytes.
const maxBody = 64 << 10

// servePage answers for one of the site's own pages.
func (s *Site) servePage(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request) error) {
	protect(w.Header())
	err := s.crossOrigin.Check(r)
	if err == nil {
		err = s.checkForm(w, r)
	}
	if err == nil {
		err = serve(w, r)
	}
	var wrong *badForm
	switch {
	case err == nil:
	case errors.As(err, &wrong):
		s.showError(w, r, authserver.PageError{Status: http.StatusBadRequest, Text: textMalformed})
	case errors.Is(err, errOtherSite) || r.Method == http.MethodPost && s.crossOrigin.Check(r) != nil:
		s.showError(w, r, authserver.PageError{Status: http.StatusForbidden, Text: textOtherSite})
	default:
		s.config.Logger.Error("page failed", "path", r.URL.Path, "cause", err)
		w.Header().Set("Retry-After", "1")
		s.showError(w, r, authserver.PageError{Status: http.StatusServiceUnavailable, Text: textUnavailable})
	}
}

// The texts of the server that the site has itself.
const (
	textMalformed   = "the parameters are malformed, repeated or too long"
	textOtherSite   = "the request came from another site"
	textUnavailable = "the server can not answer at the moment"
)

var errOtherSite = errors.New("the request does not say where it comes from")

type badForm struct{ error }

// checkForm parses the form of a POST within its bounds. Requests of other
// sites were refused before; this one has to say that it is of this site,
// which every browser does. So there need be no token in forms.
func (s *Site) checkForm(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return nil
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return errOtherSite
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return &badForm{err}
	}
	return nil
}

// seeOther sends the browser to another of the pages, or with a reference like
// "?x=y" to the same one: never to anywhere else.
func (s *Site) seeOther(w http.ResponseWriter, reference string) {
	w.Header().Set("Location", reference)
	w.WriteHeader(http.StatusSeeOther)
}
