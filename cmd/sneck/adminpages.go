package main

import (
	"net"
	"net/http"
	"net/url"

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
// never cross a network without TLS.
func wrongPagesURL(at string) string {
	if at == "" {
		return ""
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "is not the URL of pages (hint: such as https://admin.example.com)"
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return "is not https (hint: http is for this machine only)"
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
	site, err := ui.New(ui.Config{Operations: a.ops, Pages: s.set.pagesAt(at, &s.config, s.store, s.events.record)})
	if err != nil {
		return usageError(err, "sneck serve --help")
	}
	mux.Handle("/", site)
	a.pages = at + ui.Path
	return nil
}
