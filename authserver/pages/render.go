package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed files
var builtIn embed.FS

// overlay opens what is in the first of two places that has it.
type overlay struct{ first, second fs.FS }

func (o overlay) Open(name string) (fs.File, error) {
	f, err := o.first.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return o.second.Open(name)
	}
	return f, err
}

// ReadDir lists what is in either place, so that files of both are found.
func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	var all []fs.DirEntry
	for _, place := range []fs.FS{o.first, o.second} {
		entries, err := fs.ReadDir(place, name)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !slices.ContainsFunc(all, func(other fs.DirEntry) bool { return other.Name() == e.Name() }) {
				all = append(all, e)
			}
		}
	}
	return all, nil
}

// allFiles returns the files of the pages, as far as others do not replace
// them: those with the texts, and the others, of which a section has more.
func allFiles(replaced, section fs.FS) (languages, files fs.FS, err error) {
	own, err := fs.Sub(builtIn, "files")
	if err != nil {
		return nil, nil, err
	}
	languages, files = own, own
	if section != nil {
		files = overlay{section, own}
	}
	if replaced != nil {
		languages, files = overlay{replaced, languages}, overlay{replaced, files}
	}
	return languages, files, nil
}

// An asset is a file that is served as it is.
type asset struct {
	contentType string
	data        []byte
	tag         string
}

// assetTypes are the files that are assets.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".ico": "image/x-icon", ".woff2": "font/woff2",
}

// maxAsset bounds each of them, as they are kept in memory.
const maxAsset = 1 << 20

func loadAssets(files fs.FS) (map[string]asset, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	assets := map[string]asset{}
	for _, e := range entries {
		contentType := assetTypes[path.Ext(e.Name())]
		if contentType == "" || e.IsDir() {
			continue
		}
		data, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return nil, err
		}
		if len(data) > maxAsset {
			return nil, fmt.Errorf("%s is larger than %d bytes", e.Name(), maxAsset)
		}
		sum := sha256.Sum256(data)
		assets[e.Name()] = asset{contentType, data, base64.RawURLEncoding.EncodeToString(sum[:9])}
	}
	return assets, nil
}

// templates are the names of the pages; each is a file with ".html", and
// defines "content" for layout.html.
var templates = []string{
	"signin", "select", "consent", "device", "account", "password", "passkey", "signout", "error", "back",
}

func loadTemplates(files fs.FS, section Section) (map[string]*template.Template, error) {
	pages := map[string]*template.Template{}
	for _, name := range slices.Concat(templates, section.Pages) {
		list := []string{"layout.html"}
		if section.Layout != "" {
			list = append(list, section.Layout)
		}
		t, err := template.New("layout.html").Option("missingkey=error").ParseFS(files, append(list, name+".html")...)
		if err != nil {
			return nil, err
		}
		pages[name] = t
	}
	return pages, nil
}

// A View is what a template gets.
type View struct {
	// Page is the name of the page, such as "consent".
	Page string
	// Lang is the language, such as "de".
	Lang string
	// Site is Config.Title, and Base the path below which everything is.
	Site, Base string
	// User is the name of who is signed in, or "".
	User string
	// Status is a key of a text that says what was done, or ""; Problem is one
	// that says what is wrong.
	Status, Problem string
	// Tab is the part of the navigation that a page of a [Section] belongs to.
	Tab string
	// Data is what the page is about. See docs/pages.md.
	Data any

	site  *Site
	texts catalog
}

// T returns a text in the language of the page.
func (v *View) T(key string, values ...any) string { return v.texts.text(key, values...) }

// Home returns the path of the first page.
func (v *View) Home() string { return v.Base + v.site.config.Section.Home }

// Date returns a day in the language of the page.
func (v *View) Date(t time.Time) string { return v.texts.date(t) }

// Machine returns a moment for the attribute datetime.
func (v *View) Machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Time returns a day and time in the language of the page.
func (v *View) Time(t time.Time) string {
	return v.texts.date(t) + ", " + t.UTC().Format("15:04") + " UTC"
}

// Asset returns the path of a file, which changes with its content.
func (v *View) Asset(name string) string {
	return v.Base + "/assets/" + name + "?v=" + v.site.assets[name].tag
}

// Passkeys reports whether people can sign in with passkeys.
func (v *View) Passkeys() bool { return v.site.config.Passkeys != nil }

// Passwords reports whether people can change their password here.
func (v *View) Passwords() bool { return v.site.accounts != nil }

// view returns what every template gets.
func (s *Site) view(r *http.Request, page string, who *session) *View {
	lang := chooseLanguage(s.languages, r.URL.Query().Get("ui_locales"), r.Header.Get("Accept-Language"))
	v := &View{Page: page, Lang: lang, Site: s.config.Title, Base: s.base, site: s, texts: s.languages[lang]}
	if who != nil {
		v.User = who.Username
	}
	return v
}

// render writes a page. formAction is where its forms may lead to besides.
func (s *Site) render(w http.ResponseWriter, status int, v *View, formAction ...string) {
	var body bytes.Buffer
	if err := s.templates[v.Page].Execute(&body, v); err != nil {
		s.config.Logger.Error("page not rendered", "page", v.Page, "cause", err)
		http.Error(w, "500", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	protect(h, formAction...)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang)
	w.WriteHeader(status)
	_, _ = io.Copy(w, &body) // a browser that is gone needs no answer
}

// protect keeps a page out of frames and caches, lets nothing run or load that
// is not of the site, and lets forms lead to the site and to formAction only.
func protect(h http.Header, formAction ...string) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; script-src 'self'; "+
		"form-action "+strings.Join(append([]string{"'self'"}, formAction...), " ")+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// The address has what a client has sent. A form of the page has to say
	// where it comes from, though, which no-referrer would prevent in browsers
	// that know no Sec-Fetch-Site.
	h.Set("Referrer-Policy", "same-origin")
}

// serveAsset answers for a file.
func (s *Site) serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := s.assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// An image in SVG is a document, too.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.tag {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", `"`+a.tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
}
