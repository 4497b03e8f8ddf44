package ui

import "net/http"

// A list is what the page "admin-list" is about.
type list struct {
	Title, Lead string
	Search      []field
	Links       []link
	// Found is the heading of what was found; Empty is said instead of it.
	Found, Empty string
	// Note is what else is to be known about it, or "".
	Note  string
	Cards []card
	// Next is where there is more, and First where it begins; or "".
	Next, First string
}

// A detail page is about one thing.
type detailPage struct {
	Title, Lead string
	// Secret is what is shown once, or "".
	Secret, SecretLead string
	Facts              []fact
	Links              []link
	Sections           []section
}

// A section is a part of such a page.
type section struct {
	ID, Title, Empty string
	Cards            []card
	Links            []link
}

// showList writes a page with a list, whose texts begin with the key, and what
// comes after it.
func (v *visit) showList(key string, l list, next string) error {
	l.Title, l.Lead, l.Found, l.Empty = v.t(key+".title"), v.t(key+".lead"), v.t(key+".found"), v.t(key+".empty")
	if l.Next = v.more(next); next != "" && len(l.Cards) == 0 {
		l.Empty = v.t("admin.list.none_yet")
	}
	if v.query.Get("after") != "" {
		query := v.Request.URL.Query()
		query.Del("after")
		l.First = "?" + query.Encode()
	}
	return v.show(http.StatusOK, "admin-list", l)
}
