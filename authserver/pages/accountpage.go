package pages

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// An overview is what the page "account" is about: what this person has
// allowed, and where they are signed in.
type overview struct {
	Applications []application
	Sessions     []Session
	Passkeys     []keptPasskey
}

// An application is a client that a person has allowed something.
type application struct {
	// ID and Name are the client's.
	ID, Name string
	// Scopes is what it may do, or may get again without asking.
	Scopes scopes.Set
	// Since is when it was first allowed.
	Since time.Time
	// Active says that it has access now, Until when that ends; zero for never.
	Active bool
	Until  time.Time
}

// statuses are the keys of what can be said after a form was sent.
var statuses = []string{
	"application_revoked", "session_ended", "passkey_added", "passkey_refused", "passkey_removed", "password_changed", "too_many_passkeys",
}

// reference names a record in a form, without telling its key.
func reference(key authserver.Key) string {
	again := authserver.KeyOf("reference " + hex.EncodeToString(key[:]))
	return hex.EncodeToString(again[:16])
}

func familyReference(family string) string { return reference(authserver.KeyOf(family)) }

// signedInFor returns the session of the request, or nil after it has shown
// what is to be done to get one, after which the browser is sent to again. If
// recent is not zero, the person must have signed in not longer ago than that.
func (s *Site) signedInFor(w http.ResponseWriter, r *http.Request, recent time.Duration, again string) (*session, error) {
	who, err := s.session(w, r)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodPost {
		switch r.PostForm.Get("action") {
		case "sign-in", "passkey", "passkey-answer":
			who, err = s.signIn(w, r, who, signIn{Again: who != nil}, "")
			if err == nil && who != nil {
				s.seeOther(w, again)
			}
			return nil, err
		}
	}
	if who == nil || recent > 0 && s.config.Now().Sub(time.Unix(who.SignedIn, 0)) >= recent {
		page := signIn{Again: who != nil}
		if who != nil {
			page.Username = who.Username
		}
		s.showSignIn(w, r, http.StatusOK, page, "")
		return nil, nil
	}
	return who, nil
}

// serveAccount shows what a person has allowed, and takes it back.
func (s *Site) serveAccount(w http.ResponseWriter, r *http.Request) error {
	action := r.PostForm.Get("action")
	recent := time.Duration(0)
	if action == "add-passkey" || action == "remove-passkey" {
		recent = freshFor
	}
	who, err := s.signedInFor(w, r, recent, r.URL.EscapedPath())
	if err != nil || who == nil {
		return err
	}
	if r.Method == http.MethodPost {
		return s.changeAccount(w, r, who, action)
	}
	data, err := s.overview(r.Context(), who)
	if err != nil {
		return err
	}
	v := s.view(r, "account", who)
	v.Data = data
	if done := r.URL.Query().Get("done"); slices.Contains(statuses, done) {
		v.Status = "done." + done
	}
	s.render(w, http.StatusOK, v)
	return nil
}

func (s *Site) changeAccount(w http.ResponseWriter, r *http.Request, who *session, action string) error {
	ctx, done := r.Context(), ""
	switch {
	case action == "revoke-application":
		// The consent and every token, but never the session, which is of no client.
		if client := r.PostForm.Get("client"); client != "" {
			n, err := s.config.Store.Revoke(ctx, authserver.Selector{Client: client, Subject: who.subject()})
			if err != nil {
				return err
			}
			s.log(ctx, "application revoked", "subject", who.subject(), "client", client, "records", n)
			if n > 0 {
				err = s.record(r, authserver.Event{Kind: authserver.EventConsentRevoked, Client: client, Subject: who.subject(), Count: n})
			}
			if err != nil {
				return err
			}
		}
		done = "application_revoked"
	case action == "end-session":
		ended, err := endSessionOf(ctx, s.config.Store, who.subject(), r.PostForm.Get("session"))
		if err == nil && ended {
			err = s.record(r, authserver.Event{Kind: authserver.EventSessionEnded, Subject: who.subject(), Count: 1})
		}
		if err != nil {
			return err
		}
		done = "session_ended"
	case action == "add-passkey" && s.config.Passkeys != nil:
		return s.addPasskey(w, r, who)
	case action == "passkey-created" && s.config.Passkeys != nil:
		return s.passkeyAdded(w, r, who)
	case action == "remove-passkey" && s.config.Passkeys != nil:
		if err := s.removePasskey(r, who, r.PostForm.Get("passkey")); err != nil {
			return err
		}
		done = "passkey_removed"
	}
	s.seeOther(w, s.base+pathAccount+"?done="+done)
	return nil
}

func (s *Site) removePasskey(r *http.Request, who *session, ref string) error {
	ctx := r.Context()
	passkeys, err := s.passkeys(ctx, who.subject())
	if err != nil {
		return err
	}
	for _, p := range passkeys {
		if p.Ref == ref {
			n, err := s.config.Store.Revoke(ctx, authserver.Selector{Key: passkeyKey(p.ID), Family: accountFamily(who.subject())})
			if err != nil || n == 0 {
				return err
			}
			return s.record(r, authserver.Event{Kind: authserver.EventPasskeyRemoved, Subject: who.subject()})
		}
	}
	return nil
}

func (s *Site) overview(ctx context.Context, who *session) (o overview, err error) {
	if o.Applications, err = s.applications(ctx, who.subject()); err != nil {
		return o, err
	}
	if o.Sessions, err = s.sessions(ctx, who); err != nil {
		return o, err
	}
	if s.config.Passkeys != nil {
		o.Passkeys, err = s.passkeys(ctx, who.subject())
	}
	return o, err
}

// applications returns the clients that have a consent or a live token.
func (s *Site) applications(ctx context.Context, subject string) ([]application, error) {
	now := s.config.Now()
	byID := map[string]*application{}
	for _, kind := range []authserver.Kind{authserver.KindConsent, authserver.KindRefresh, authserver.KindAccess} {
		records, err := list(ctx, s.config.Store, kind, authserver.Selector{Subject: subject}, maxRecords)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if r.ExpiredAt(now) || !r.Spent.IsZero() {
				continue
			}
			app := byID[r.Client]
			if app == nil {
				app = &application{ID: r.Client, Name: r.Client, Since: r.Issued}
				byID[r.Client] = app
			}
			app.add(r)
		}
	}
	var apps []application
	for id, app := range byID {
		client, err := s.config.Clients.Client(ctx, id)
		if err != nil && !errors.Is(err, authserver.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			app.Name = clientName(client)
		}
		slices.Sort(app.Scopes)
		apps = append(apps, *app)
	}
	slices.SortFunc(apps, func(a, b application) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	return apps, nil
}

// add takes over what a record allows.
func (a *application) add(r authserver.Record) {
	a.Scopes = append(a.Scopes, r.Scopes.Without(a.Scopes)...)
	if r.Issued.Before(a.Since) {
		a.Since = r.Issued
	}
	if r.Kind == authserver.KindConsent {
		return
	}
	switch {
	case r.Expires.IsZero():
		a.Until = time.Time{}
	case !a.Active, !a.Until.IsZero() && a.Until.Before(r.Expires):
		a.Until = r.Expires
	}
	a.Active = true
}

// sessions returns where somebody is signed in, this one first.
func (s *Site) sessions(ctx context.Context, who *session) ([]Session, error) {
	return listSessions(ctx, s.config.Store, s.config.Now(), who.subject(), who.family())
}

// servePassword changes a password.
func (s *Site) servePassword(w http.ResponseWriter, r *http.Request) error {
	if s.accounts == nil {
		http.NotFound(w, r)
		return nil
	}
	who, err := s.signedInFor(w, r, 0, r.URL.EscapedPath())
	if err != nil || who == nil {
		return err
	}
	problem, status := "", http.StatusOK
	if r.Method == http.MethodPost {
		if problem, status, err = s.changePassword(w, r, who); err != nil {
			return err
		}
		if problem == "" {
			s.seeOther(w, s.base+pathAccount+"?done=password_changed")
			return nil
		}
	}
	v := s.view(r, "password", who)
	v.Problem, v.Data = problem, struct{ Min int }{MinPassword}
	s.render(w, status, v)
	return nil
}

// changePassword returns a key of what is wrong, if that is for the person. Only
// the password that was verified is replaced: if somebody else has set another
// one meanwhile, that one counts.
func (s *Site) changePassword(w http.ResponseWriter, r *http.Request, who *session) (problem string, status int, err error) {
	ctx := r.Context()
	next := r.PostForm.Get("new-password")
	if CheckPassword(next) != nil {
		return "problem.bad_password", http.StatusUnprocessableEntity, nil
	}
	try := s.tryPassword(ctx, who.Username, "session "+who.family(), s.config.Address(r))
	if try.wait > 0 {
		try.tooMany(w, r, who.subject())
		return "problem.too_many", http.StatusTooManyRequests, nil
	}
	for first := true; ; first = false {
		verified, err := s.passwordOf(ctx, who.account())
		if err != nil {
			return "", 0, err
		}
		account, err := s.checkPassword(ctx, who.Username, r.PostForm.Get("password"))
		if errors.Is(err, ErrWrongPassword) || err == nil && account.ID != who.subject() {
			// It is refused anyway.
			_ = s.record(r, authserver.Event{Kind: authserver.EventSignInFailed, Subject: who.subject(), Reason: "wrong current password"})
			return "problem.wrong_current", http.StatusUnprocessableEntity, nil
		}
		if err != nil {
			return "", 0, err
		}
		if first {
			try.succeeded(ctx)
			if err := s.record(r, authserver.Event{Kind: authserver.EventPasswordChanged, Subject: who.subject()}); err != nil {
				return "", 0, err
			}
		}
		err = s.accounts.setPassword(ctx, who.subject(), next, who.family(), verified)
		if first && errors.Is(err, errReplaced) {
			continue // maybe by the same, hashed anew
		}
		if err == nil {
			s.log(ctx, "password changed", "subject", who.subject())
		}
		return "", 0, err
	}
}

// serveSignOut ends the session, after a form has asked for it.
func (s *Site) serveSignOut(w http.ResponseWriter, r *http.Request) error {
	who, err := s.session(w, r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		if err := s.endSession(w, r, who); err != nil {
			return err
		}
		if who != nil {
			s.log(r.Context(), "signed out", "subject", who.subject())
		}
		s.seeOther(w, s.base+pathSignOut)
		return nil
	}
	s.render(w, http.StatusOK, s.view(r, "signout", who))
	return nil
}

// agentName says which browser it is on which system, as far as a User-Agent
// header tells.
func agentName(header string) string {
	find := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.Contains(header, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := find("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "FxiOS/", "Firefox", "CriOS/", "Chrome",
		"HeadlessChrome/", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari", "curl/", "curl")
	system := find("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS X", "macOS",
		"CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser != "" && system != "":
		return browser + ", " + system
	case browser != "":
		return browser
	}
	return system
}
