package ui_test

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/admin/ui"
	"github.com/sneckauth/sneck/scopes"
)

func texts(t *testing.T, file string) (texts map[string]string) {
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &texts))
	return texts
}

// Both languages have every text that the pages use, and no other.
func TestLanguagesAreComplete(t *testing.T) {
	var used []string
	for _, pattern := range []string{"*.go", "files/*.html"} {
		sources, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range sources {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, m := range regexp.MustCompile(`"(admin\.[a-z_.]+[a-z_])"`).FindAllStringSubmatch(string(data), -1) {
				if m[1] != "admin.html" && m[1] != "admin.css" {
					used = append(used, m[1])
				}
			}
		}
	}
	used = slices.DeleteFunc(used, func(key string) bool {
		return slices.Contains([]string{"admin.clients", "admin.people", "admin.tokens", "admin.tokens_of", "admin.keys", "admin.scopes", "admin.audit"}, key)
	})
	used = append(used, ui.Keys()...)
	slices.Sort(used)
	used = slices.Compact(used)
	english, german := texts(t, "files/en.json"), texts(t, "files/de.json")
	var have []string
	for key, text := range english {
		have = append(have, key)
		assert.NotEmpty(t, text, key)
		assert.NotEmpty(t, german[key], key)
	}
	slices.Sort(have)
	have = slices.DeleteFunc(have, func(key string) bool { return strings.HasPrefix(key, "admin.hint.") })
	used = slices.DeleteFunc(used, func(key string) bool { return strings.HasPrefix(key, "admin.hint.") })
	assert.Equal(t, used, have)
	assert.Len(t, german, len(english))
}

// Every hint is for a field.
func TestHintsAreForFields(t *testing.T) {
	english := texts(t, "files/en.json")
	for key := range english {
		if name, ok := strings.CutPrefix(key, "admin.hint."); ok {
			assert.Contains(t, english, "admin.field."+name)
		}
	}
}

// Every kind of event can be searched for.
func TestKindsAreThoseOfEvents(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../event.go", nil, 0)
	require.NoError(t, err)
	var want []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "Event") {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			want = append(want, text)
		}
		return true
	})
	assert.ElementsMatch(t, want, ui.Kinds())
}

// What a client is registered with is in the form, whatever it is, and comes
// back as it was.
func TestFormHasEverySetting(t *testing.T) {
	var s admin.ClientSettings
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case string:
			f.SetString("text " + strconv.Itoa(i))
		case []string:
			f.Set(reflect.ValueOf([]string{"one", "two " + strconv.Itoa(i)}))
		case bool:
			f.SetBool(true)
		case int64:
			f.SetInt(int64(i))
		case json.RawMessage:
			f.SetBytes([]byte(`{"keys": []}`))
		default:
			t.Fatalf("the form knows no %s, as %s is", f.Type(), v.Type().Field(i).Name)
		}
	}
	back, err := ui.ThroughForm(s)
	require.NoError(t, err)
	assert.Equal(t, s, back)
	back, err = ui.ThroughForm(admin.ClientSettings{})
	require.NoError(t, err)
	assert.Equal(t, admin.ClientSettings{}, back)
}

func TestGerman(t *testing.T) {
	w := newWorld(t)
	root := w.as(t, "root")
	root.header.Set("Accept-Language", "de-CH, en;q=0.5")
	assert.Equal(t, "Verwaltung", root.get("/admin/").title())
	got := root.get("/admin/people")
	assert.Contains(t, got.body, `<html lang="de">`)
	for key, text := range texts(t, "files/en.json") {
		if strings.Contains(text, " ") && !strings.Contains(text, "%") {
			assert.NotContains(t, got.body, ">"+text+"<", key)
		}
	}
}

// skeleton returns the elements and attributes of a page, without its texts.
func skeleton(t *testing.T, body string) (list []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if err != nil {
			require.ErrorContains(t, err, "EOF")
			require.Contains(t, list, "main", body)
			return list
		}
		if e, ok := token.(xml.StartElement); ok {
			line := e.Name.Local
			for _, a := range e.Attr {
				line += " " + a.Name.Local
			}
			list = append(list, line)
		}
	}
}

// described is a list of scopes whose texts change.
type described struct {
	scopes.Static
	text string
}

func (d *described) All(context.Context) ([]scopes.Described, error) {
	return []scopes.Described{{Name: "read", Text: d.text}}, nil
}

// tour shows every page on which a text of others can be, with that text.
func tour(t *testing.T, w *world, root *browser, d *described, text string) map[string]reply {
	d.text = text
	c, err := w.memory.Client(t.Context(), "app")
	require.NoError(t, err)
	evil := *c
	evil.Name, evil.Audience, evil.Serves = text, []string{"https://a.example/" + url.PathEscape(text)}, []string{text}
	require.NoError(t, w.memory.PutClient(t.Context(), &evil))
	require.NoError(t, w.server.Record(t.Context(), authserver.Event{
		Kind: authserver.EventRateLimited, Client: text, Subject: text + "!", Grant: text, Scopes: scopes.Set{"read"}, Audience: []string{text},
		Token: text, Family: text, Reason: text, By: text, Count: 2,
	}))
	seen := map[string]reply{}
	q := url.Values{}
	for _, name := range []string{"text", "client", "person", "family", "by", "kind", "done", "shown", "x", text} {
		q.Set(name, text)
	}
	for _, page := range []string{
		"/admin/?", "/admin/clients?", "/admin/client?id=app&", "/admin/client/edit?id=app&", "/admin/client/delete?id=app&", "/admin/people?",
		"/admin/tokens?", "/admin/tokens/revoke?sub=x&", "/admin/scopes?", "/admin/audit?", "/admin/nothing?",
	} {
		seen[page] = root.get(page + q.Encode())
	}
	q.Del("kind")
	seen["found"] = root.get("/admin/audit?client=" + url.QueryEscape(text))
	seen["clients"] = root.get("/admin/clients")
	seen["form"] = root.post("/admin/clients/new", "client_id", text, "client_name", text, "grant_types", text, "redirect_uris", text, "scope", text, "token_endpoint_auth_method", text)
	seen["person"] = root.post("/admin/people/new", "username", text+" ")
	seen["gone"] = root.get("/admin/client?id=" + url.QueryEscape(text))
	return seen
}

// No text of others becomes a part of a page.
func TestAttacks_Markup(t *testing.T) {
	if testing.Short() {
		t.Skip("one request after the other, and many")
	}
	d := &described{}
	w := newWorld(t, func(s *settings) { s.scopes = d })
	w.app(t)
	root := w.as(t, "root")
	for range 5 {
		tour(t, w, root, d, "before") // so that the overview is full of such events
	}
	harmless := tour(t, w, root, d, "harmless")
	for _, text := range markup(t) {
		t.Run(text, func(t *testing.T) {
			for name, got := range tour(t, w, root, d, text) {
				assert.Equal(t, skeleton(t, harmless[name].body), skeleton(t, got.body), name)
				assert.Equal(t, harmless[name].status, got.status, name)
			}
		})
	}
	assert.Equal(t, 1, strings.Count(harmless["found"].body, "<h3>"), "there is something to see")
}

// markup returns what is tried on the pages of people, too.
func markup(t *testing.T) (list []string) {
	f, err := os.Open("../../pages/testdata/attacks.txt")
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "markup: "); ok {
			unquoted, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
			require.NoError(t, err, text)
			list = append(list, unquoted)
		}
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, list)
	return list
}
