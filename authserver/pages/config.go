package pages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// Config configures a [Site]. Issuer, Store and Clients are mandatory, and
// those of the server; the zero value of every other field is the safe choice.
type Config struct {
	// Issuer is the URL that identifies the server.
	Issuer string
	// InsecureHTTP allows an issuer with http, which is for a loopback host
	// and for development: the cookies can not be bound to the host then.
	InsecureHTTP bool
	// Store keeps accounts and sessions, next to what the server keeps.
	Store authserver.Lister
	// Clients knows the names of clients.
	Clients authserver.Clients

	// CheckPassword, if set, decides who may sign in with a password, instead
	// of Accounts: for people whose accounts live elsewhere. It returns
	// ErrWrongPassword for an unknown name as well, and takes as long for it;
	// other errors mean that it could not find out. There are no passkeys, and
	// nobody can change a password, on these pages then.
	CheckPassword func(ctx context.Context, username, password string) (*Account, error)
	// Hasher, if set, hashes passwords in place of argon2id alone, such as with
	// a key that the database has not: see [authserver.NewPepperedHasher]. See
	// [Accounts.Hashing].
	Hasher authserver.SecretHasher
	// Passkeys lets people sign in without a password; nil means that they
	// can not. The module adapter/webauthn has one.
	Passkeys Passkeys

	// SessionIdle is how long a session lasts that is not used; zero means a
	// day. SessionLife is how long it lasts at most; zero means 14 days.
	SessionIdle, SessionLife time.Duration

	// Limits says how many passwords and passkeys can be tried.
	Limits Limits
	// Address says from where a request comes, to limit how many passwords can
	// be tried. If nil, it is the peer of the connection. Behind a proxy it
	// must be what the proxy says, or else everybody shares one limit.
	Address func(r *http.Request) netip.Addr

	// Files replaces files of the pages, such as "consent.html", "style.css"
	// or "de.json", and adds others: a language, or an image that is served
	// below /assets/. See docs/pages.md.
	Files fs.FS
	// Title is the name above the pages; empty means the host of the issuer.
	Title string
	// ScopeText, if set, says in a language such as "de" what a scope allows;
	// empty leaves it to the scope backend of the server.
	ScopeText func(language, scope string) string

	// Section makes it a site of other pages.
	Section Section

	// Record, if set, is called with every [authserver.Event] of the pages,
	// before the answer: it is the Record method of the server. After an error
	// nobody is let in: who signs in, or changes with what they do, has to be
	// on record. What takes something away is done in any case, and answered
	// with 503.
	Record func(ctx context.Context, e authserver.Event) error

	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Logger gets the causes of failures, and who has signed in or failed to;
	// nil is silent. Passwords and cookies are never logged.
	Logger *slog.Logger
}

const (
	defaultIdle = 24 * time.Hour
	defaultLife = 14 * 24 * time.Hour
)

// prepare returns a copy of c with all defaults filled in, and every mistake.
func (c Config) prepare() (Config, *url.URL, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("pages: "+format, args...)) }
	issuer, err := url.Parse(c.Issuer)
	switch {
	case err != nil || issuer.Host == "" || issuer.Scheme != "https" && issuer.Scheme != "http":
		bad("Issuer %q is not a URL (hint: that of the server)", c.Issuer)
		issuer = &url.URL{}
	case strings.HasSuffix(issuer.Path, "/"): // links would begin with "//", and lead to another host
		bad("Issuer %q ends with a slash (hint: leave it out)", c.Issuer)
	case issuer.Scheme == "http" && !c.InsecureHTTP:
		bad("Issuer %q is not https (hint: InsecureHTTP, for development)", c.Issuer)
	}
	if c.Store == nil {
		bad("Store is missing (hint: that of the server)")
	}
	if c.Clients == nil {
		bad("Clients is missing (hint: those of the server)")
	}
	if c.CheckPassword != nil && c.Passkeys != nil {
		bad("Passkeys need accounts in the store (hint: leave out CheckPassword)")
	}
	if c.CheckPassword != nil && c.Hasher != nil {
		bad("Hasher is for accounts in the store (hint: leave out CheckPassword)")
	}
	if c.SessionIdle == 0 {
		c.SessionIdle = defaultIdle
	}
	if c.SessionLife == 0 {
		c.SessionLife = defaultLife
	}
	if c.SessionIdle < time.Minute || c.SessionLife < c.SessionIdle {
		bad("SessionIdle %v and SessionLife %v are not in order (hint: at least a minute, and the former not longer)", c.SessionIdle, c.SessionLife)
	}
	if c.Address == nil {
		c.Address = peer
	}
	if c.Title == "" {
		c.Title = issuer.Host
	}
	if c.Section.Home == "" {
		c.Section.Home = pathAccount
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	errs = append(errs, c.Limits.prepare(c.Now))
	return c, issuer, errors.Join(errs...)
}

// peer returns the other end of the connection.
func peer(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(host) // the zero address is one like others
	return addr
}
