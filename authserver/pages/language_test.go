package pages_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

// Every language has every text that a page uses, and no other.
func TestLanguagesAreComplete(t *testing.T) {
	used := map[string]bool{}
	for pattern, key := range map[string]string{"files/*.html": `\.T "([^"]+)"`, "*.go": `"(problem\.[a-z_]+)"`} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range regexp.MustCompile(key).FindAllStringSubmatch(string(data), -1) {
				used[m[1]] = true
			}
		}
	}
	languages, err := filepath.Glob("files/*.json")
	require.NoError(t, err)
	require.Len(t, languages, 2)
	for _, file := range languages {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var texts map[string]string
		require.NoError(t, json.Unmarshal(data, &texts))
		for key := range used {
			assert.NotEmpty(t, texts[key], "%s lacks %s", file, key)
		}
		for key := range texts {
			if !strings.HasPrefix(key, "error.") && !strings.HasPrefix(key, "done.") && !strings.HasPrefix(key, "date.") {
				assert.Contains(t, used, key, "%s has a text that no page uses", file)
			}
		}
	}
}

// What the server says to people has a text here, and what has a text is said.
func TestServerErrorsHaveTexts(t *testing.T) {
	data, err := os.ReadFile("files/en.json")
	require.NoError(t, err)
	var texts map[string]string
	require.NoError(t, json.Unmarshal(data, &texts))
	said := map[string]bool{"title": true, "client": true, "other": true}
	sources, err := filepath.Glob("../*.go")
	require.NoError(t, err)
	for _, file := range sources {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`s\.page\(w, r, [^"\n]*"([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			said[m[1]] = true
		}
		if base := filepath.Base(file); base == "authorize.go" || base == "redirect.go" {
			for _, m := range regexp.MustCompile(`return (?:nil|""), errors\.New\("([^"]+)"\)`).FindAllStringSubmatch(string(source), -1) {
				said[m[1]] = true
			}
		}
	}
	var missing, extra []string
	for text := range said {
		if texts["error."+text] == "" {
			missing = append(missing, text)
		}
	}
	for key := range texts {
		if text, ok := strings.CutPrefix(key, "error."); ok && !said[text] {
			extra = append(extra, text)
		}
	}
	assert.Empty(t, missing)
	assert.Empty(t, extra)
}

func TestAcceptLanguage(t *testing.T) {
	for header, want := range map[string][]string{
		"":                             {},
		"de":                           {"de"},
		"fr;q=0.1, de ; q=0.5 ,en-GB":  {"en-GB", "de", "fr"},
		"de;q=0, en":                   {"en"},
		"de;q=x, en":                   {"en"},
		", ,;q=1":                      {},
		"*":                            {"*"},
		strings.Repeat("x", 2000):      {strings.Repeat("x", 1000)},
		strings.Repeat("de,", 300)[:9]: {"de", "de", "de"},
	} {
		assert.Equal(t, want, pages.AcceptedTags(header), header)
	}
	assert.Len(t, pages.AcceptedTags(strings.Repeat("de,", 300)), 20)
}

func FuzzAcceptLanguage(f *testing.F) {
	f.Add("de;q=0.5, en-GB")
	f.Add("\xff,;q=NaN")
	f.Fuzz(func(t *testing.T, header string) {
		tags := pages.AcceptedTags(header)
		assert.LessOrEqual(t, len(tags), 20)
		assert.NotContains(t, tags, "")
		for _, tag := range tags {
			assert.Contains(t, header, tag)
		}
	})
}

func TestFilesAreReplaced(t *testing.T) {
	french := fstest.MapFS{
		"signin.html": {Data: []byte(`{{define "title"}}Ours{{end}}{{define "content"}}<p>{{.T "signin.title"}} {{.Data.Client}}</p>{{end}}`)},
		"style.css":   {Data: []byte("p{color:red}")},
		"logo.svg":    {Data: []byte("<svg/>")},
	}
	en, err := fs.ReadFile(os.DirFS("files"), "en.json")
	require.NoError(t, err)
	french["fr.json"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(en), `"Sign in"`, `"Connexion"`))}
	w := newWorld(t, func(s *settings) { s.pages.Files = french })
	b := w.browser()
	got := b.get(authorize("ui_locales", "fr-FR"))
	assert.Contains(t, got.body, "<title>Ours · auth.example.com</title>")
	assert.Contains(t, got.body, "<p>Connexion Notes</p>")
	assert.Equal(t, "p{color:red}", b.get("/assets/style.css").body)
	assert.Equal(t, "image/svg+xml", b.get("/assets/logo.svg").header.Get("Content-Type"))
	b.get(authorize())
	assert.Equal(t, pageConsent, title(b.signIn("alice", password)), "the others are as they were")

	m := authserver.NewMemory()
	for want, files := range map[string]fstest.MapFS{
		`fr.json lacks "`:         {"fr.json": {Data: []byte(`{}`)}},
		"fr.json: ":               {"fr.json": {Data: []byte(`{`)}},
		"signin.html:1":           {"signin.html": {Data: []byte(`{{`)}},
		"x.png is larger":         {"x.png": {Data: slices.Repeat([]byte("x"), 1<<20+1)}},
		"places for 1 values in ": {"de.json": {Data: []byte(strings.ReplaceAll(string(en), `to continue to %s`, `weiter`))}},
	} {
		_, err := pages.New(pages.Config{Issuer: issuer, Store: m, Clients: m, Files: files})
		require.ErrorContains(t, err, want)
	}
}

func TestScopeText(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.pages.ScopeText = func(language, scope string) string {
			return map[string]string{"de read": "Ihre Notizen lesen"}[language+" "+scope]
		}
	})
	b := w.browser()
	b.get(authorize("ui_locales", "de"))
	page := b.signIn("alice", password)
	assert.Contains(t, page.body, "Ihre Notizen lesen")
	assert.Contains(t, page.body, "Change your notes")
}

// The documentation has the data of every page.
func TestDocsHaveTheDataOfPages(t *testing.T) {
	docs, err := os.ReadFile("../../docs/pages.md")
	require.NoError(t, err)
	for page, data := range pages.PageData {
		row := regexp.MustCompile("(?m)^\\| `" + page + "` .*$").FindString(string(docs))
		require.NotEmpty(t, row, page)
		for i := range reflect.TypeOf(data).NumField() {
			assert.Contains(t, row, "`"+reflect.TypeOf(data).Field(i).Name+"`", page)
		}
	}
	view := reflect.TypeFor[*pages.View]()
	for i := range view.NumMethod() {
		if name := view.Method(i).Name; name != "Passkeys" && name != "Passwords" {
			assert.Contains(t, string(docs), "`."+name+"`")
		}
	}
	for i := range view.Elem().NumField() {
		if f := view.Elem().Field(i); f.IsExported() {
			assert.Contains(t, string(docs), "`."+f.Name+"`")
		}
	}
}
