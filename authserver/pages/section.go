package pages

import (
	"context"
	"io/fs"
	"net/http"
	"time"
)

// A Section makes a site of other pages, which look and speak like those of
// people and have the same sign-in: see package authserver/admin/ui. Each page
// is served by [Site.Page].
type Section struct {
	// Name tells the section's sessions and cookies from those of other sites
	// that share the store or the host: who is signed in at one is not at the
	// other. Browsers send cookies to every port of a host.
	Name string
	// Home is the path of its first page, such as "/admin/".
	Home string
	// Files has a template for each of Pages, with ".html" behind the name;
	// Layout, a file that they share; assets; and texts in files such as
	// "en.json". Config.Files replaces them, too, and a language that lacks a
	// text of the section has it in English.
	Files  fs.FS
	Layout string
	Pages  []string
}

// A Visit is a request for a page, of somebody who is signed in.
type Visit struct {
	Writer  http.ResponseWriter
	Request *http.Request
	// Account is who it is.
	Account *Account

	site *Site
	who  *session
}

// Page returns a handler for pages of a [Section]. Who is not signed in, or has
// signed in longer ago than recent, is asked to, and comes to serve after that.
// Forms of other sites do not. An error of serve becomes a page of status 503,
// while its text goes to the log.
func (s *Site) Page(recent time.Duration, serve func(*Visit) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := func(w http.ResponseWriter, r *http.Request) error {
			again := r.URL.EscapedPath()
			if r.URL.RawQuery != "" {
				again = "?" + r.URL.RawQuery
			}
			who, err := s.signedInFor(w, r, recent, again)
			if err != nil || who == nil {
				return err
			}
			return serve(&Visit{Writer: w, Request: r, Account: who.account(), site: s, who: who})
		}
		s.only(w, r, func() { s.servePage(w, r, page) }, http.MethodGet, http.MethodPost)
	})
}

// View returns what the template of a page gets; Show shows it.
func (v *Visit) View(page string, data any) *View {
	view := v.site.view(v.Request, page, v.who)
	view.Data = data
	return view
}

// Show writes a page.
func (v *Visit) Show(status int, view *View) { v.site.render(v.Writer, status, view) }

// Go sends the browser to another page, by a path below the site's.
func (v *Visit) Go(path string) { v.site.seeOther(v.Writer, v.site.base+path) }

// Context is that of the request.
func (v *Visit) Context() context.Context { return v.Request.Context() }

// Base is the path below which the site is: that of Config.Issuer.
func (s *Site) Base() string { return s.base }

// addTexts gives languages the texts that a section has besides.
func addTexts(languages map[string]catalog, section fs.FS) error {
	own, err := loadLanguages(section)
	if err != nil {
		return err
	}
	for tag, texts := range languages {
		for key, text := range own[standard] {
			if better := own[tag][key]; better != "" {
				text = better
			}
			if texts[key] == "" {
				texts[key] = text
			}
		}
	}
	return nil
}
