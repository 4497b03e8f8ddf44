package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/admin/ui"
)

// pagesURL returns the URL of the pages for administrators, and "" if there can
// be none. Passwords and cookies never cross a network without TLS.
func (f *adminSettings) pagesURL(l net.Listener) (string, error) {
	if f.AdminURL == "" {
		if !loopback(l) {
			return "", nil
		}
		return "http://" + l.Addr().String(), nil
	}
	u, err := url.Parse(f.AdminURL)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", usageError(fmt.Errorf("--admin-url %q is not the URL of pages", f.AdminURL), "such as https://admin.example.com")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return "", usageError(fmt.Errorf("--admin-url %q is not https", f.AdminURL), "http is for this machine only")
	}
	return f.AdminURL, nil
}

// attachPages adds the pages for administrators, in the manner of those for
// people, if the server has such.
func (a *administration) attachPages(set *serverSettings, config *authserver.Config, store database, record recordFunc) error {
	if a == nil {
		if set.AdminURL != "" {
			return usageError(errors.New("--admin-url without --admin-listen"), "--admin-listen 127.0.0.1:8081")
		}
		return nil
	}
	at, err := set.pagesURL(a.listener)
	if err != nil || !set.Pages {
		return err
	}
	if at == "" {
		config.Logger.Info("there are no pages for administrators", "cause", "--admin-url is missing, and others reach --admin-listen")
		return nil
	}
	site, err := ui.New(ui.Config{Operations: a.ops, Pages: set.pageSettings.config(at, config, store, record)})
	if err != nil {
		return usageError(err, "sneck serve --help")
	}
	mux := http.NewServeMux()
	mux.Handle("/", site)
	mux.Handle(admin.Path, a.handler)
	a.handler, a.pages = mux, at+ui.Path
	return nil
}
