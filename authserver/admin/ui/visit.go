package ui

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/pages"
)

// A visit is a request of an administrator, or of who would like to be one.
type visit struct {
	*pages.Visit
	site  *Site
	ops   *admin.Operations // done by this person
	query url.Values
	tab   string
	may   bool
	view  *pages.View
}

// pageSize is how much a page lists, so that it stays light.
const pageSize = 25

// A fact is something that is known of what a page is about.
type fact struct {
	Label, Value string
	// Link is where more is said about the value, or "".
	Link string
}

// A link is something that can be done next. Danger marks what ends something.
type link struct {
	Text, URL string
	// Label is the text for those who do not see where it is, or "".
	Label  string
	Danger bool
}

// A card is one of what a page lists.
type card struct {
	Title, Link string
	Tags        []string
	Facts       []fact
	Links       []link
}

// A failure is what the page "admin-failed" is about: Detail is in English.
type failure struct {
	Detail string
	May    bool
}

// texts returns the view, which is needed for texts before it is shown.
func (v *visit) texts() *pages.View {
	if v.view == nil {
		v.view = v.View("admin-failed", nil)
		v.view.Tab = v.tab
	}
	return v.view
}

func (v *visit) t(key string, values ...any) string { return v.texts().T(key, values...) }

// show writes a page.
func (v *visit) show(status int, page string, data any) error {
	view := v.texts()
	view.Page, view.Data = page, data
	if v.query.Has(unrecorded) && view.Problem == "" {
		view.Problem = "admin.problem.not_recorded"
	}
	if done := v.query.Get("done"); slices.Contains(statuses(), done) && view.Problem == "" {
		view.Status = "admin.done." + done
	}
	v.Show(status, view)
	return nil
}

// failed writes a page that says what is wrong.
func (v *visit) failed(status int, problem, detail string) error {
	view := v.texts()
	view.Problem, view.Page, view.Data = problem, "admin-failed", failure{detail, v.may}
	v.Show(status, view)
	return nil
}

// unrecorded is the parameter that has a page say that what was done is not on
// record.
const unrecorded = "unrecorded"

// allTheSame returns the parameters that have the next page say what is the
// matter with something that was done, and nil for the error then.
func allTheSame(err error) (params []string, other error) {
	if errors.Is(err, admin.ErrNotRecorded) {
		return []string{unrecorded, "1"}, nil
	}
	return nil, err
}

// explain writes a page about what an operation has refused, and returns all
// other errors.
func (v *visit) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, admin.ErrNotRecorded):
		return v.failed(http.StatusServiceUnavailable, "admin.problem.not_recorded", "")
	case errors.Is(err, admin.ErrTakenBack):
		return v.failed(http.StatusServiceUnavailable, "admin.problem.taken_back", "")
	case errors.Is(err, admin.ErrNotFound):
		return v.failed(http.StatusNotFound, "admin.problem.not_found", detail(err))
	case errors.Is(err, admin.ErrAbsent):
		return v.failed(http.StatusNotFound, "admin.problem.absent", detail(err))
	case errors.Is(err, admin.ErrChanged):
		return v.failed(http.StatusConflict, "admin.problem.changed", "")
	case errors.Is(err, admin.ErrExists):
		return v.failed(http.StatusConflict, "admin.problem.exists", detail(err))
	case errors.Is(err, admin.ErrInvalid):
		return v.failed(http.StatusUnprocessableEntity, "admin.problem.invalid", detail(err))
	}
	return err
}

// detail returns what an operation says, which is in English.
func detail(err error) string { return strings.TrimPrefix(err.Error(), "admin: ") }

// path returns the path of one of the pages, with parameters as name and
// value; empty values are left out.
func (v *visit) path(path string, params ...string) string {
	query := url.Values{}
	for i := 0; i < len(params); i += 2 {
		if params[i+1] != "" {
			query.Set(params[i], params[i+1])
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return v.site.pages.Base() + Path + path
}

// goTo sends the browser to another of the pages.
func (v *visit) goTo(path string) error {
	v.Go(strings.TrimPrefix(path, v.site.pages.Base()))
	return nil
}

// more returns the address of this page with another beginning; "" for none.
func (v *visit) more(after string) string {
	if after == "" {
		return ""
	}
	query := url.Values{}
	for name, values := range v.query {
		if name != "done" && name != unrecorded {
			query[name] = values
		}
	}
	query.Set("after", after)
	return "?" + query.Encode()
}

// facts makes a list of label and value, without empty values. A label is the
// key of a text.
func (v *visit) facts(pairs ...string) (list []fact) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, fact{Label: v.t(pairs[i]), Value: pairs[i+1]})
		}
	}
	return list
}

// time returns a moment for people, and "" for none.
func (v *visit) time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return v.texts().Time(t)
}

// count says how many there are, of which a list with more to come has only
// the first.
func count(n int, next string) string {
	if next != "" {
		return strconv.Itoa(n) + "+"
	}
	return strconv.Itoa(n)
}
