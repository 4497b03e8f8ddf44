package pages

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// The kinds of the records of sessions and of browsers that have signed in.
const (
	kindSession authserver.Kind = "session"
	kindBrowser authserver.Kind = "browser"

	// rotateGrace is how long the old cookie of a session works after it was
	// replaced, for requests that were under way.
	rotateGrace = time.Minute
	// browserLife is how long a browser is known.
	browserLife = 400 * 24 * time.Hour
)

// A session is somebody who has signed in with a browser. The cookie has 128
// random bits or more, of which the store has a digest. It is replaced now and
// then while it is used, which is what moves the idle limit; all its cookies
// are one family.
type session struct {
	record authserver.Record
	sessionExtra
}

type sessionExtra struct {
	Username string `json:"username"`
	// SignedIn and Ends are in seconds since 1970.
	SignedIn int64 `json:"signed_in"`
	Ends     int64 `json:"ends"`
	// Agent is the User-Agent header, cut off, for people to tell sessions
	// apart.
	Agent string `json:"agent,omitempty"`
	// Chosen is the digest of the authorization request for which the person
	// has chosen this account, and Fresh of the one for which they have signed
	// in; at ChosenAt.
	Chosen   string `json:"chosen,omitempty"`
	Fresh    string `json:"fresh,omitempty"`
	ChosenAt int64  `json:"chosen_at,omitempty"`
}

func (s *session) subject() string { return s.record.Subject }
func (s *session) family() string  { return s.record.Family }

// account returns whose session it is.
func (s *session) account() *Account { return &Account{ID: s.record.Subject, Username: s.Username} }

// newSession starts a session and sets its cookie. What the browser had before
// ends: nobody goes on with a cookie from before they signed in. stands is asked
// when the session is stored, where it can be ended by others; after an error
// there is none.
func (s *Site) newSession(w http.ResponseWriter, r *http.Request, old *session, account *Account, extra sessionExtra, stands func() error) (*session, error) {
	ctx, now := r.Context(), s.config.Now()
	extra.Username, extra.SignedIn, extra.Ends = account.Username, now.Unix(), now.Add(s.config.SessionLife).Unix()
	extra.Agent = cut(r.UserAgent(), 300)
	fresh := &session{record: authserver.Record{Family: "session " + rand.Text(), Subject: account.ID}, sessionExtra: extra}
	if old != nil {
		if _, err := s.config.Store.Revoke(ctx, authserver.Selector{Family: old.family()}); err != nil {
			return nil, fmt.Errorf("pages: end the old session: %w", err)
		}
	}
	cookie, err := s.stamp(fresh)
	if err == nil {
		err = s.config.Store.Create(ctx, fresh.record)
	}
	if err != nil {
		return nil, fmt.Errorf("pages: store a session: %w", err)
	}
	if err := stands(); err != nil {
		_, undone := s.config.Store.Revoke(context.WithoutCancel(ctx), authserver.Selector{Family: fresh.family()})
		return nil, errors.Join(err, undone)
	}
	s.setCookie(w, sessionCookie, cookie, 0)
	return fresh, nil
}

// stamp gives the session a new key and a new idle limit, and returns the
// cookie that goes with it.
func (s *Site) stamp(v *session) (cookie string, err error) {
	cookie = rand.Text() + rand.Text()
	now := s.config.Now()
	v.record.Key, v.record.Kind, v.record.Spent = s.sessionKey(cookie), kindSession, time.Time{}
	v.record.Issued, v.record.Expires = now, now.Add(s.config.SessionIdle)
	if ends := time.Unix(v.Ends, 0); ends.Before(v.record.Expires) {
		v.record.Expires = ends
	}
	v.record.Extra, err = json.Marshal(v.sessionExtra)
	return cookie, err
}

// sessionKey returns what the store has instead of a cookie: at each site that
// shares the store another one, so that a cookie is of use at its own only.
func (s *Site) sessionKey(cookie string) authserver.Key {
	return authserver.KeyOf(s.config.Section.Name + "session " + cookie)
}

// session returns the session of the request, or nil. If it is time, it gives
// the browser another cookie.
func (s *Site) session(w http.ResponseWriter, r *http.Request) (*session, error) {
	cookie := s.cookie(r, sessionCookie)
	if cookie == "" {
		return nil, nil
	}
	ctx, now := r.Context(), s.config.Now()
	record, err := s.config.Store.Get(ctx, s.sessionKey(cookie))
	if errors.Is(err, authserver.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pages: look up a session: %w", err)
	}
	if record.Kind != kindSession || record.ExpiredAt(now) {
		return nil, nil
	}
	if !record.Spent.IsZero() && !now.Before(record.Spent.Add(rotateGrace)) {
		// Two have this cookie, or an answer was lost: nobody goes on.
		n, err := s.config.Store.Revoke(ctx, authserver.Selector{Family: record.Family})
		if err == nil && n > 0 {
			err = s.record(r, authserver.Event{Kind: authserver.EventSessionEnded, Subject: record.Subject, Reason: "cookie used twice", Count: 1})
		}
		return nil, err
	}
	extra, err := decode[sessionExtra](record)
	if err != nil {
		return nil, err
	}
	if s.accounts != nil {
		if _, err := s.accounts.ByID(ctx, record.Subject); errors.Is(err, ErrNoAccount) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	v := &session{record, *extra}
	if record.Spent.IsZero() && now.Sub(record.Issued) >= min(s.config.SessionIdle/4, time.Hour) {
		err := s.rotate(ctx, w, v)
		if errors.Is(err, authserver.ErrNotFound) || errors.Is(err, authserver.ErrExpired) || errors.Is(err, authserver.ErrSpent) {
			return nil, nil // it has just ended
		}
		return v, err
	}
	return v, nil
}

// rotate replaces the cookie of a session, and writes down what has changed.
func (s *Site) rotate(ctx context.Context, w http.ResponseWriter, v *session) error {
	before := v.record
	cookie, err := s.stamp(v)
	if err != nil {
		return err
	}
	_, err = s.config.Store.Spend(ctx, authserver.Spend{
		Key: before.Key, Now: s.config.Now(), Grace: rotateGrace, Yield: []authserver.Record{v.record},
	})
	if err != nil {
		return fmt.Errorf("pages: renew a session: %w", err)
	}
	s.setCookie(w, sessionCookie, cookie, 0)
	return nil
}

// endSession signs somebody out of one session.
func (s *Site) endSession(w http.ResponseWriter, r *http.Request, v *session) error {
	s.setCookie(w, sessionCookie, "", -1)
	if v == nil {
		return nil
	}
	if _, err := s.config.Store.Revoke(r.Context(), authserver.Selector{Family: v.family()}); err != nil {
		return err
	}
	return s.record(r, authserver.Event{Kind: authserver.EventSignedOut, Subject: v.subject()})
}

// knows reports whether somebody has signed in to the account with this
// browser before.
func (s *Site) knows(r *http.Request, account *Account) bool {
	cookie := s.cookie(r, browserCookie)
	if cookie == "" || account == nil {
		return false
	}
	record, err := s.config.Store.Get(r.Context(), browserKey(cookie, account.ID))
	return err == nil && record.Kind == kindBrowser && !record.ExpiredAt(s.config.Now())
}

// remember makes the browser known to the account.
func (s *Site) remember(w http.ResponseWriter, r *http.Request, account *Account) error {
	if s.knows(r, account) {
		return nil
	}
	cookie, now := s.cookie(r, browserCookie), s.config.Now()
	if len(cookie) < len(rand.Text()) {
		cookie = rand.Text()
	}
	err := s.config.Store.Create(r.Context(), authserver.Record{
		Key: browserKey(cookie, account.ID), Kind: kindBrowser, Subject: account.ID, Issued: now, Expires: now.Add(browserLife),
	})
	if err != nil && !errors.Is(err, authserver.ErrExists) {
		return fmt.Errorf("pages: remember a browser: %w", err)
	}
	s.setCookie(w, browserCookie, cookie, browserLife)
	return nil
}

func browserKey(cookie, id string) authserver.Key {
	return authserver.KeyOf(fmt.Sprintf("browser %q of %q", cookie, id))
}

const (
	sessionCookie = "sneck-session"
	browserCookie = "sneck-browser"
	maxCookie     = 100
)

// cookieName binds a cookie to the host: with this prefix browsers take it
// from there only, over TLS, for all paths (RFC 6265bis, section 4.1.3.2).
func (s *Site) cookieName(name string) string {
	if s.config.Section.Name != "" {
		name += "-" + s.config.Section.Name
	}
	if s.insecure {
		return name
	}
	return "__Host-" + name
}

// setCookie sets a cookie: for as long as the browser runs if life is zero,
// and deletes it if that is negative.
func (s *Site) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	maxAge := int(life / time.Second)
	if life < 0 {
		maxAge = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(name), Value: value, Path: "/", MaxAge: maxAge,
		Secure: !s.insecure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// cookie returns the value of a cookie, or "" if it is not one of ours.
func (s *Site) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(s.cookieName(name))
	if err != nil || len(c.Value) > maxCookie {
		return ""
	}
	return c.Value
}

// cut returns the first n bytes of s, without a broken character at the end.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
