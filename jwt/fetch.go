package jwt

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/sneckauth/sneck/internal/fetch"
	"github.com/sneckauth/sneck/internal/jws"
)

// A Fetch says how key sets are fetched. The zero Fetch is ready for use.
//
// Whatever is set here: only https is spoken, and http to a loopback address;
// redirects are not followed, no cookies are sent, and an answer of more than
// 512 KiB is no answer.
type Fetch struct {
	// Refresh is how long a key set is used before a new one must be asked
	// for; the answer's Cache-Control max-age can shorten it, to a minute at
	// the least. The default is 10 minutes.
	Refresh time.Duration
	// MaxStale is how long after it was fetched a key set is used on if no
	// new one can be had. The default is 1 hour, or Refresh if that is more.
	MaxStale time.Duration
	// UnknownKeyInterval is the shortest time between two fetches for keys
	// that are not in the set. The default is 30 seconds.
	UnknownKeyInterval time.Duration
	// Timeout bounds one fetch, with the discovery before it. The default is
	// 5 seconds.
	Timeout time.Duration
	// RSAAlgorithm is the algorithm of RSA keys that do not name one. The
	// default is RS256.
	RSAAlgorithm string
	// RefusePrivateAddresses makes every connection to an address fail that
	// is not public, whatever name led there: use it where the issuers are
	// named by others. No proxy is used then.
	RefusePrivateAddresses bool
	// HTTPClient, if not nil, makes the connections; for tests, own
	// certificate authorities, proxies. Its redirect policy and cookie jar
	// are not used. It can't be combined with RefusePrivateAddresses, which
	// needs a dialer of its own.
	HTTPClient *http.Client
	// Dir, if not empty, is a directory in which the last good key set of
	// every source is kept, to start with if the issuer is down then. Who can
	// write there can forge tokens: keep it to the service. MaxStale counts
	// from the fetch, as ever.
	Dir string
	// Logger is told of fetches that fail, for people to look at. The default
	// is silent.
	Logger *slog.Logger
	// Now returns the time; the default is time.Now.
	Now func() time.Time
}

const (
	defaultRefresh  = 10 * time.Minute
	minRefresh      = time.Minute
	defaultMaxStale = time.Hour
	defaultUnknown  = 30 * time.Second
	defaultTimeout  = 5 * time.Second
)

// check returns every mistake.
func (f Fetch) check() error {
	var errs []error
	mistake := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New("jwt: "+text))
		}
	}
	mistake(f.Refresh < 0 || f.MaxStale < 0 || f.UnknownKeyInterval < 0 || f.Timeout < 0, "Fetch has a negative time")
	mistake(f.MaxStale > 0 && f.MaxStale < f.withDefaults().Refresh, "Fetch.MaxStale is less than Fetch.Refresh")
	mistake(f.RefusePrivateAddresses && f.HTTPClient != nil, "Fetch.RefusePrivateAddresses does not work with an HTTPClient")
	if f.RSAAlgorithm != "" && (jws.Canonical(f.RSAAlgorithm) == "" || f.RSAAlgorithm[1] != 'S' || f.RSAAlgorithm[0] == 'E') {
		errs = append(errs, fmt.Errorf("jwt: Fetch.RSAAlgorithm %q is not one for RSA keys (hint: RS256, PS256)", f.RSAAlgorithm))
	}
	return errors.Join(errs...)
}

func (f Fetch) withDefaults() Fetch {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&f.Refresh, defaultRefresh)
	set(&f.MaxStale, max(defaultMaxStale, f.Refresh))
	set(&f.UnknownKeyInterval, defaultUnknown)
	set(&f.Timeout, defaultTimeout)
	if f.RSAAlgorithm == "" {
		f.RSAAlgorithm = RS256
	}
	if f.Now == nil {
		f.Now = time.Now
	}
	if f.Logger == nil {
		f.Logger = slog.New(slog.DiscardHandler)
	}
	return f
}

// client returns what makes the requests of one source.
func (f Fetch) client() fetch.Client {
	if f.HTTPClient != nil {
		return fetch.Using(f.HTTPClient)
	}
	return fetch.New(f.RefusePrivateAddresses)
}

// checkURL refuses everything but https, and http to the loopback.
func checkURL(raw string) error {
	switch err := fetch.Check(raw); {
	case errors.Is(err, fetch.ErrNotURL):
		return errors.New("not a URL of the form https://host/path (hint: an issuer that is no URL needs Keys)")
	case err != nil:
		return errors.New("keys are fetched by https only (hint: http works for 127.0.0.1, ::1 and localhost)")
	}
	return nil
}
