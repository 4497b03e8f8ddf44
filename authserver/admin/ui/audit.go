package ui

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/audit"
)

// kinds returns the names of the kinds of events that an audit log can have.
func kinds() []string {
	var names []string
	for _, kind := range authserver.EventKinds() {
		names = append(names, string(kind))
	}
	return names
}

// audit searches the audit log.
func (v *visit) audit() error {
	get := func(name string) string { return strings.TrimSpace(v.query.Get(name)) }
	q := audit.Query{Client: get("client"), Text: get("text")}
	if kind := get("kind"); kind != "" {
		q.Kinds = []authserver.EventKind{authserver.EventKind(kind)}
	}
	var errs [4]error
	q.Subject, errs[0] = v.subject(get("person"))
	q.By, errs[1] = v.subject(get("by"))
	q.Since, errs[2] = day(get("since"))
	q.Until, errs[3] = day(get("until"))
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1) // the whole day
	}
	found, err := v.ops.AuditSearch(v.Context(), q, v.query.Get("after"), pageSize)
	if err != nil {
		return err
	}
	name := func(kind string) string {
		if kind == "" {
			return v.t("admin.audit.any")
		}
		return v.kind(kind)
	}
	l := list{Search: []field{
		{Name: "kind", Type: "select", Label: v.t("admin.audit.kind"), Choices: choose(name, []string{get("kind")}, append([]string{""}, kinds()...)...)},
		{Name: "text", Type: "search", Label: v.t("admin.audit.text"), Value: get("text")},
		{Name: "client", Type: "search", Label: v.t("admin.field.client_id"), Value: get("client")},
		{Name: "person", Type: "search", Label: v.t("admin.tokens.person"), Value: get("person"), Hint: v.t("admin.tokens.person_hint")},
		{Name: "by", Type: "search", Label: v.t("admin.audit.by"), Value: get("by"), Hint: v.t("admin.tokens.person_hint")},
		{Name: "since", Type: "date", Label: v.t("admin.audit.since"), Value: get("since")},
		{Name: "until", Type: "date", Label: v.t("admin.audit.until"), Value: get("until")},
	}, Cards: v.entries(found.Entries)}
	if found.Damaged > 0 {
		l.Note = v.t("admin.audit.damaged", strconv.Itoa(found.Damaged))
	}
	if len(found.LeftOut) > 0 {
		l.Note += " " + v.t("admin.audit.left_out", strings.Join(found.LeftOut, ", "))
	}
	for _, f := range found.Unread {
		l.Note += " " + v.t("admin.audit.unread", f.Name)
	}
	return v.showList("admin.audit", l, found.Next)
}

// day returns the beginning of a day, in UTC; the zero time for "".
func day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, refusal{admin.ErrInvalid, "a day is not one (hint: such as 2030-01-31)"}
	}
	return t, nil
}

// kind returns what a kind of event is called.
func (v *visit) kind(kind string) string {
	key := "admin.kind." + kind
	if text := v.t(key); text != key {
		return text
	}
	return kind
}

// entries returns what was found, for people.
func (v *visit) entries(found []audit.Entry) (cards []card) {
	for _, e := range found {
		facts := v.facts("admin.audit.time", e.Time.UTC().Format("2006-01-02 15:04:05 UTC"))
		if e.Client != "" {
			facts = append(facts, fact{v.t("admin.field.client_id"), e.Client, v.path("client", "id", e.Client)})
		}
		if e.Subject != "" && e.Subject != e.Client {
			facts = append(facts, fact{v.t("admin.tokens.sub"), e.Subject, v.path("person", "id", e.Subject)})
		}
		if e.Family != "" {
			facts = append(facts, fact{v.t("admin.tokens.family"), e.Family, v.path("tokens", "family", e.Family)})
		}
		count, address := "", ""
		if e.Count > 0 {
			count = strconv.FormatInt(e.Count, 10)
		}
		if e.Address.IsValid() {
			address = e.Address.String()
		}
		facts = append(facts, v.facts(
			"admin.audit.by", e.By, "admin.audit.reason", e.Reason, "admin.field.scope", e.Scopes.String(), "admin.field.audience", strings.Join(e.Audience, "\n"),
			"admin.audit.grant", e.Grant, "admin.tokens.jti", e.Token, "admin.audit.address", address, "admin.audit.count", count,
		)...)
		cards = append(cards, card{Title: v.kind(string(e.Kind)), Tags: []string{strconv.FormatUint(e.Seq, 10)}, Facts: facts})
	}
	return cards
}
