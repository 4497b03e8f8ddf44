package main

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sneckauth/sneck/authserver/admin/ui"
)

// pagesURL returns the URL of the pages for administrators, and "" if there can
// be none.
func (s *adminSettings) pagesURL(l net.Listener) string {
	if s.AdminURL == "" && loopback(l) {
		return "http://" + l.Addr().String()
	}
	return s.AdminURL
}

// wrongPagesURL returns what is wrong with a URL for pages. Passwords and cookies
// never cross a network without TLS. What may be a password is not repeated.
func wrongPagesURL(at string) string {
	if at == "" {
		return ""
	}
	u, err := url.Parse(at)
	switch {
	case strings.Contains(at, "@"):
		return "has user information (hint: such as https://admin.example.com)"
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return strconv.Quote(at) + " is not the URL of pages (hint: such as https://admin.example.com)"
	case strings.HasSuffix(u.Path, "/"):
		return strconv.Quote(at) + " ends with a slash (hint: leave it out)"
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return strconv.Quote(at) + " is not https (hint: http is for this machine only)"
	}
	return ""
}

// attachPages adds the pages for administrators to mux, in the manner of those
// for people, if the server has such.
func (a *administration) attachPages(s *serverService, mux *http.ServeMux) error {
	if !s.set.Pages {
		return nil
	}
	at := s.set.pagesURL(a.listener)
	if at == "" {
		s.config.Logger.Info("there are no pages for administrators", "cause", "--admin-url is missing, and others reach --admin-listen")
		return nil
	}
	pages := s.set.pagesAt(at, &s.config, s.store, s.events.record)
	if pages.Passkeys != nil && !sameHost(at, s.config.Issuer) {
		// Browsers offer a passkey to the host that it was made at, and people
		// make theirs at the server's.
		s.config.Logger.Info("there are no passkeys", "url", at, "cause", "it is on another host than the issuer, where people make theirs")
		pages.Passkeys = nil
	}
	site, err := ui.New(ui.Config{Operations: a.ops, Pages: pages})
	if err != nil {
		return usageError(err, "sneck serve --help")
	}
	mux.Handle("/", site)
	a.pages = at + ui.Path
	return nil
}

// sameHost reports whether two URLs have the same host, whatever the port.
func sameHost(a, b string) bool {
	u, err1 := url.Parse(a)
	v, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && strings.EqualFold(u.Hostname(), v.Hostname())
}
