package pages

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// freshFor is how long after somebody has signed in or chosen an account for a
// request that counts for it.
const freshFor = 10 * time.Minute

// Login is the authserver.LoginFunc: it has the user sign in and decide. The
// pages it shows are at the address of the request, and their forms lead back
// to it, so there is no parameter that says where to go next.
func (s *Site) Login(w http.ResponseWriter, r *http.Request, a *authserver.AuthorizationRequest) (*authserver.Approval, error) {
	wish, err := readWish(a)
	if err != nil {
		return nil, err
	}
	who, err := s.session(w, r)
	if err != nil {
		return nil, err
	}
	q := &question{site: s, w: w, r: r, request: a, wish: wish, who: who, id: requestID(r)}
	if wish.silent {
		return q.silently()
	}
	if r.Method == http.MethodPost {
		switch err := s.checkForm(w, r); {
		case errors.Is(err, errOtherSite):
			s.showError(w, r, authserver.PageError{Status: http.StatusForbidden, Text: textOtherSite, Client: a.Client})
			return nil, nil
		case err != nil:
			s.showError(w, r, authserver.PageError{Status: http.StatusBadRequest, Text: textMalformed, Client: a.Client})
			return nil, nil
		}
		return q.answered()
	}
	return q.ask("")
}

// A wish is what a client asks for besides (OpenID Connect Core, section
// 3.1.2.1). It can make things stricter only.
type wish struct {
	silent, login, choose bool
	// maxAge is how long ago the user may have signed in; negative if the
	// client has no wish.
	maxAge time.Duration
}

func readWish(a *authserver.AuthorizationRequest) (wish, error) {
	refuse := func(text string) (wish, error) {
		return wish{}, &authserver.Error{Code: "invalid_request", Description: text}
	}
	if a.UserCode != "" {
		return wish{maxAge: -1}, nil // the device has not asked this way
	}
	prompts := strings.Fields(a.Prompt)
	v := wish{
		silent: slices.Contains(prompts, "none"), login: slices.Contains(prompts, "login"),
		choose: slices.Contains(prompts, "select_account"), maxAge: -1,
	}
	if v.silent && len(prompts) > 1 {
		return refuse("prompt must not have none and others")
	}
	if text := a.Form.Get("max_age"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return refuse("max_age must be a number of seconds")
		}
		v.maxAge = time.Duration(n) * time.Second
		v.login = v.login || n == 0
	}
	return v, nil
}

// requestID identifies an authorization request: all of its parameters.
func requestID(r *http.Request) string {
	key := authserver.KeyOf(r.URL.RawQuery)
	return hex.EncodeToString(key[:16])
}

// A question is one call of Login.
type question struct {
	site    *Site
	w       http.ResponseWriter
	r       *http.Request
	request *authserver.AuthorizationRequest
	wish    wish
	who     *session
	id      string
}

// The steps on the way to an approval.
type step int

const (
	stepSignIn step = iota
	stepChoose
	stepConsent
	stepDone
)

// next returns what is missing.
func (q *question) next() (step, error) {
	if q.who == nil {
		return stepSignIn, nil
	}
	now := q.site.config.Now()
	recent := now.Sub(time.Unix(q.who.ChosenAt, 0)) < freshFor
	signedIn := recent && q.who.Fresh == q.id
	switch age := now.Sub(time.Unix(q.who.SignedIn, 0)); {
	case q.wish.login && !signedIn, q.wish.maxAge > 0 && age > q.wish.maxAge:
		return stepSignIn, nil
	case q.wish.choose && !signedIn && (!recent || q.who.Chosen != q.id):
		return stepChoose, nil
	}
	consented, err := q.request.Consented(q.r.Context(), q.who.subject())
	if err != nil || !consented {
		return stepConsent, err
	}
	return stepDone, nil
}

// silently answers a request that may show no page.
func (q *question) silently() (*authserver.Approval, error) {
	next, err := q.next()
	switch {
	case err != nil:
		return nil, err
	case next == stepSignIn:
		return nil, authserver.ErrLoginRequired
	case next == stepConsent:
		return nil, authserver.ErrConsentRequired
	}
	return q.approval(nil), nil
}

func (q *question) approval(granted scopes.Set) *authserver.Approval {
	return &authserver.Approval{
		Subject: q.who.subject(), Scopes: granted, Remember: true,
		Authentication: authserver.Authentication{Username: q.who.Username, AuthTime: q.who.SignedIn},
	}
}

// ask shows the page for what is missing. problem is a key of a text.
func (q *question) ask(problem string) (*authserver.Approval, error) {
	next, err := q.next()
	if err != nil {
		return nil, err
	}
	switch next {
	case stepSignIn:
		q.site.showSignIn(q.w, q.r, http.StatusOK, signIn{Client: clientName(q.request.Client), Username: hint(q.request.LoginHint), Again: q.who != nil}, "", q.formAction()...)
	case stepChoose:
		v := q.site.view(q.r, "select", q.who)
		v.Data = struct{ Client string }{clientName(q.request.Client)}
		q.site.render(q.w, http.StatusOK, v, q.formAction()...)
	case stepConsent:
		return nil, q.showConsent(problem)
	case stepDone:
		return q.approval(nil), nil
	}
	return nil, nil
}

// answered looks at the form of one of the pages.
func (q *question) answered() (*authserver.Approval, error) {
	switch q.r.PostForm.Get("action") {
	case "deny":
		if q.who == nil {
			break // nobody was asked, and what nobody decides is not put on record
		}
		return nil, authserver.ErrAccessDenied
	case "approve":
		return q.approve()
	case "sign-out":
		// To sign in as somebody else.
		if err := q.site.endSession(q.w, q.r, q.who); err != nil {
			return nil, err
		}
	case "continue":
		if q.who == nil {
			break
		}
		q.who.Chosen, q.who.ChosenAt = q.id, q.site.config.Now().Unix()
		if err := q.site.rotate(q.r.Context(), q.w, q.who); err != nil {
			return nil, err
		}
		return q.proceed()
	case "sign-in", "passkey", "passkey-answer":
		who, err := q.site.signIn(q.w, q.r, q.who, signIn{Client: clientName(q.request.Client)}, q.id, q.formAction()...)
		if err != nil || who == nil {
			return nil, err
		}
		q.who = who
		return q.proceed()
	}
	q.site.seeOther(q.w, "?"+q.r.URL.RawQuery)
	return nil, nil
}

// proceed goes on after a form: to the end if nothing is missing, or else to
// the next page, as one that can be gone back to.
func (q *question) proceed() (*authserver.Approval, error) {
	next, err := q.next()
	if err != nil {
		return nil, err
	}
	if next == stepDone {
		return q.approval(nil), nil
	}
	q.site.seeOther(q.w, "?"+q.r.URL.RawQuery)
	return nil, nil
}

// approve looks at a decision. It counts if it was made on a page that was
// shown to who is signed in now, and if nothing is missing but that.
func (q *question) approve() (*authserver.Approval, error) {
	next, err := q.next()
	switch {
	case err != nil:
		return nil, err
	case next < stepConsent || q.r.PostForm.Get("as") != q.asked():
		return q.ask("problem.changed")
	}
	granted := q.request.Required()
	for _, scope := range q.request.Scopes {
		if slices.Contains(q.r.PostForm["scope"], scope) && !granted.Has(scope) {
			granted = append(granted, scope)
		}
	}
	if len(granted) == 0 {
		return nil, q.showConsent("problem.no_scope")
	}
	return q.approval(granted), nil
}

// asked identifies who is asked, without telling who that is.
func (q *question) asked() string {
	key := authserver.KeyOf("consent form " + q.who.family() + " " + q.id)
	return hex.EncodeToString(key[:16])
}

// A consent is what the page "consent" is about.
type consent struct {
	// Client is the name of the application, and ID its identifier.
	Client, ID string
	// Host is where the browser goes next, or "".
	Host string
	// Audience is whom the access is for.
	Audience []string
	// Scopes is what is asked for.
	Scopes []scopeChoice
	// Until is when the access ends at the latest; zero for never.
	Until time.Time
	// UserCode is what the device shows that is to be connected, or "".
	UserCode string
	// As belongs into the field "as" of the form.
	As string
}

// A scopeChoice is a scope that can be ticked.
type scopeChoice struct {
	Name, Text        string
	Required, Checked bool
}

func (q *question) showConsent(problem string) error {
	ctx := q.r.Context()
	described, err := q.request.DescribedScopes(ctx)
	if err != nil {
		return fmt.Errorf("pages: describe scopes: %w", err)
	}
	v := q.site.view(q.r, "consent", q.who)
	v.Problem = problem
	c := consent{
		Client: clientName(q.request.Client), ID: q.request.Client.ID, Audience: q.request.Audience,
		Until: q.request.Until(ctx), UserCode: q.request.UserCode, As: q.asked(),
	}
	if u, err := url.Parse(q.request.RedirectURI); err == nil {
		c.Host = u.Hostname()
	}
	required := q.request.Required()
	for _, d := range described {
		text := d.Text
		if q.site.config.ScopeText != nil {
			if better := q.site.config.ScopeText(v.Lang, d.Name); better != "" {
				text = better
			}
		}
		c.Scopes = append(c.Scopes, scopeChoice{d.Name, text, required.Has(d.Name), problem != "problem.no_scope"})
	}
	v.Data = c
	q.site.render(q.w, http.StatusOK, v, q.formAction()...)
	return nil
}

// formAction returns where the forms of a page may lead to besides the site
// itself: back to the client. Browsers apply it to redirects as well. See
// [Site.goBack] for the rest of that.
func (q *question) formAction() []string {
	u, err := url.Parse(q.request.RedirectURI)
	switch {
	case err != nil || u.Scheme == "":
		return nil
	case u.Scheme == "http" || u.Scheme == "https":
		if strings.Contains(u.Host, "[") || strings.ContainsAny(u.Host, ";, '") {
			return nil // not to be said there; goBack does without
		}
		return []string{u.Scheme + "://" + u.Host}
	}
	return []string{u.Scheme + ":"}
}

// goBack takes the browser back to the client after a form was sent. Browsers
// apply form-action to every redirect that follows a form, also to those of
// the client, which nobody here can know. So this is no redirect but a page
// that leads on at once. Applications that are started by a scheme of their
// own need the click of the user, which only a redirect passes on.
func (s *Site) goBack(w http.ResponseWriter, r *http.Request, location string) {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		s.seeOther(w, location)
		return
	}
	w.Header().Set("Refresh", "0; url="+location)
	v := s.view(r, "back", nil)
	v.Data = struct{ URL string }{location}
	s.render(w, http.StatusOK, v)
}

// clientName returns what people are told a client is called.
func clientName(c *authserver.Client) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// hint returns a login hint as far as it can be a name.
func hint(s string) string {
	if len(s) > maxUsername || !utf8.ValidString(s) {
		return ""
	}
	return s
}

// A signIn is what the page "signin" is about.
type signIn struct {
	// Client is the name of the application for which to sign in, or "".
	Client string
	// Username is what to begin with.
	Username string
	// Again says that somebody is signed in and has to do it once more.
	Again bool
}

func (s *Site) showSignIn(w http.ResponseWriter, r *http.Request, status int, data signIn, problem string, formAction ...string) {
	v := s.view(r, "signin", nil)
	v.Problem, v.Data = problem, data
	s.render(w, status, v, formAction...)
}

// signIn looks at the form of the sign-in page. It returns the new session, or
// nil after it has shown the page again. request is for which authorization
// request it is, or "".
func (s *Site) signIn(w http.ResponseWriter, r *http.Request, old *session, page signIn, request string, formAction ...string) (*session, error) {
	ctx := r.Context()
	if s.config.Passkeys != nil {
		switch r.PostForm.Get("action") {
		case "passkey":
			return nil, s.beginPasskey(w, r, page, formAction...)
		case "passkey-answer":
			account, err := s.finishPasskey(r)
			if errors.Is(err, ErrWrongPasskey) || errors.Is(err, ErrNoAccount) {
				s.log(ctx, "sign-in refused", "cause", err, "address", s.config.Address(r))
				if !errors.Is(err, errNoChallenge) {
					_ = s.record(r, authserver.Event{Kind: authserver.EventSignInFailed, Reason: "wrong passkey"}) // it is refused anyway
				}
				s.showSignIn(w, r, http.StatusUnprocessableEntity, page, "problem.wrong_passkey", formAction...)
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			return s.signedIn(w, r, old, account, "passkey", request, func() error { return nil })
		}
	}
	username, password := strings.TrimSpace(r.PostForm.Get("username")), r.PostForm.Get("password")
	page.Username = hint(username)
	var known *Account
	if s.accounts != nil && CheckUsername(username) == nil {
		var err error
		if known, err = s.accounts.ByName(ctx, username); err != nil && !errors.Is(err, ErrNoAccount) {
			return nil, err
		}
	}
	try := s.tryPassword(ctx, username, s.browser(r, known), s.config.Address(r))
	if try.wait > 0 {
		try.tooMany(w, r, subjectOf(known))
		s.log(ctx, "sign-in refused", "cause", "too many tries", "address", s.config.Address(r))
		s.showSignIn(w, r, http.StatusTooManyRequests, page, "problem.too_many", formAction...)
		return nil, nil
	}
	who, err := s.byPassword(w, r, old, known, username, password, request, try)
	if errors.Is(err, ErrWrongPassword) {
		s.log(ctx, "sign-in refused", "cause", "wrong password", "address", s.config.Address(r))
		// It is refused anyway.
		_ = s.record(r, authserver.Event{Kind: authserver.EventSignInFailed, Subject: subjectOf(known), Reason: "wrong password"})
		s.showSignIn(w, r, http.StatusUnprocessableEntity, page, "problem.wrong_password", formAction...)
		return nil, nil
	}
	return who, err
}

// byPassword starts a session for somebody who knows the password, or returns
// ErrWrongPassword. A password that is changed while it is looked at, which
// takes a while, ends the sessions that there are by then, so this one is looked
// at again when it is among them.
func (s *Site) byPassword(w http.ResponseWriter, r *http.Request, old *session, known *Account, username, password, request string, try try) (*session, error) {
	ctx := r.Context()
	before, err := s.passwordOf(ctx, known)
	if err != nil {
		return nil, err
	}
	account, err := s.checkPassword(ctx, username, password)
	if err != nil {
		return nil, err
	}
	try.succeeded(ctx)
	return s.signedIn(w, r, old, account, "password", request, func() error {
		if after, err := s.passwordOf(ctx, account); err != nil || after == before {
			return err
		}
		_, err := s.checkPassword(ctx, username, password) // it may have been hashed anew
		return err
	})
}

// passwordOf identifies the password that counts for an account of the site.
func (s *Site) passwordOf(ctx context.Context, account *Account) (key authserver.Key, err error) {
	if s.accounts == nil {
		return key, nil
	}
	id := nobody
	if account != nil {
		id = account.ID
	}
	records, err := s.accounts.passwords(ctx, id)
	if len(records) > 0 {
		key = records[0].Key
	}
	return key, err
}

// passwordPatience is how long somebody waits for others whose passwords are
// verified.
const passwordPatience = 10 * time.Second

func (s *Site) checkPassword(ctx context.Context, username, password string) (*Account, error) {
	if len(password) > MaxPassword || len(username) > maxUsername {
		username, password = cut(username, maxUsername)+" ", "" // no account has such a name
	}
	ctx, cancel := context.WithTimeout(ctx, passwordPatience)
	defer cancel()
	return s.config.CheckPassword(ctx, username, password)
}

// signedIn starts a session for somebody who has proved who they are, and how.
// stands says whether that still holds.
func (s *Site) signedIn(w http.ResponseWriter, r *http.Request, old *session, account *Account, how, request string, stands func() error) (*session, error) {
	if account == nil || account.ID == "" {
		return nil, errors.New("pages: the account has no ID")
	}
	if err := s.record(r, authserver.Event{Kind: authserver.EventSignedIn, Subject: account.ID, Reason: how}); err != nil {
		return nil, err
	}
	now := s.config.Now().Unix()
	who, err := s.newSession(w, r, old, account, sessionExtra{Fresh: request, ChosenAt: now}, stands)
	if err != nil {
		return nil, err
	}
	if err := s.remember(w, r, account); err != nil {
		return nil, err
	}
	s.log(r.Context(), "signed in", "subject", account.ID, "address", s.config.Address(r))
	return who, nil
}

// browser returns the cookie of a browser that the account knows, else "".
func (s *Site) browser(r *http.Request, account *Account) string {
	if !s.knows(r, account) {
		return ""
	}
	return s.cookie(r, browserCookie)
}

// subjectOf returns the ID of an account, or "" if there is none.
func subjectOf(account *Account) string {
	if account == nil {
		return ""
	}
	return account.ID
}

// record hands on what has happened in a request.
func (s *Site) record(r *http.Request, e authserver.Event) error {
	if s.config.Record == nil {
		return nil
	}
	e.Address = s.config.Address(r)
	return s.config.Record(r.Context(), e)
}

func (s *Site) log(ctx context.Context, message string, args ...any) {
	for i, a := range args {
		if addr, ok := a.(netip.Addr); ok {
			args[i] = addr.String()
		}
	}
	s.config.Logger.InfoContext(ctx, message, args...)
}
