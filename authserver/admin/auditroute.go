package admin

import (
	"net/http"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/audit"
)

// An auditPage is a page of what the audit log says, the newest first.
type auditPage struct {
	Entries []audit.Entry `json:"entries"`
	// Next is the "after" of the next page; not there if there is none.
	Next string `json:"next,omitempty"`
	// Damaged is how many lines were no entries.
	Damaged int `json:"damaged,omitempty"`
	// LeftOut names files that could not be searched.
	LeftOut []string `json:"left_out,omitempty"`
	// Unread names files that could not be read, or not to the beginning.
	Unread []string `json:"unread,omitempty"`
}

func auditRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "audit", id: "searchAudit", summary: "Search the audit log, the newest first.",
			query: []parameter{
				{name: "kind", text: "Only events of this kind; may be repeated.", kind: "string", repeated: true},
				{name: "client", text: "Only what is about this client.", kind: "string"},
				{name: "subject", text: "Only what is about this subject.", kind: "string"},
				{name: "token", text: "Only what is about this token, by its jti.", kind: "string"},
				{name: "family", text: "Only what came of one approval.", kind: "string"},
				{name: "by", text: "Only what this administrator has done.", kind: "string"},
				{name: "since", text: "The first moment.", kind: "date-time"},
				{name: "until", text: "The first moment that is too late.", kind: "date-time"},
				searchText, pageAfter, pageLimit,
			},
			result: auditPage{}, status: http.StatusOK,
			serve: searchAudit,
		},
	}
}

func searchAudit(c *call) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	q := audit.Query{
		Client: c.query.Get("client"), Subject: c.query.Get("subject"), Token: c.query.Get("token"),
		Family: c.query.Get("family"), By: c.query.Get("by"), Text: c.query.Get("q"),
	}
	for _, kind := range c.query["kind"] {
		q.Kinds = append(q.Kinds, authserver.EventKind(kind))
	}
	if q.Since, err = c.time("since"); err != nil {
		return nil, err
	}
	if q.Until, err = c.time("until"); err != nil {
		return nil, err
	}
	found, err := c.ops.AuditSearch(c.Context(), q, c.query.Get("after"), limit)
	if err != nil {
		return nil, err
	}
	page := auditPage{append([]audit.Entry{}, found.Entries...), found.Next, found.Damaged, found.LeftOut, nil}
	for _, f := range found.Unread {
		page.Unread = append(page.Unread, f.Name)
	}
	return page, nil
}
