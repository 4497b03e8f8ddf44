package ui

import (
	"errors"
	"net/http"
	"slices"

	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/pages"
)

// people lists accounts.
func (v *visit) people() error {
	text := v.query.Get("text")
	found, next, err := v.ops.Accounts(v.Context(), text, v.query.Get("after"), pageSize)
	if err != nil {
		return err
	}
	l := list{
		Search: []field{{Name: "text", Type: "search", Label: v.t("admin.people.search"), Value: text}},
		Links:  []link{{Text: v.t("admin.people.new"), URL: v.path("people/new")}},
	}
	for _, a := range found {
		one := card{Title: a.Username, Link: v.path("person", "id", a.ID), Facts: v.facts("admin.person.created", v.time(a.Created))}
		if a.Admin {
			one.Tags = []string{v.t("admin.person.admin")}
		}
		l.Cards = append(l.Cards, one)
	}
	return v.showList("admin.people", l, next)
}

// thePerson returns the account that the request is about.
func (v *visit) thePerson() (*admin.Account, error) {
	return v.ops.Account(v.Context(), v.query.Get("id"))
}

// person shows an account and its sessions.
func (v *visit) person() error {
	a, err := v.thePerson()
	if err != nil {
		return err
	}
	sessions, err := v.ops.Sessions(v.Context(), a.ID)
	if err != nil {
		return err
	}
	password, err := v.take("person " + a.ID)
	if err != nil {
		return err
	}
	role := link{Text: v.t("admin.person.give_admin"), URL: v.path("person/admin", "id", a.ID)}
	if a.Admin {
		role = link{Text: v.t("admin.person.take_admin"), URL: v.path("person/no-admin", "id", a.ID), Danger: true}
	}
	d := detailPage{Title: a.Username, Lead: v.t("admin.person.lead"), Secret: password, SecretLead: v.t("admin.person.password_once"), Links: []link{
		{Text: v.t("admin.person.new_password"), URL: v.path("person/password", "id", a.ID)},
		{Text: v.t("admin.client.tokens"), URL: v.path("tokens", "person", a.ID)},
		{Text: v.t("admin.client.audit"), URL: v.path("audit", "person", a.ID)},
		role,
		{Text: v.t("admin.person.delete"), URL: v.path("person/delete", "id", a.ID), Danger: true},
	}}
	d.Facts = v.facts("admin.person.sub", a.ID, "admin.person.created", v.time(a.Created))
	if a.Admin {
		d.Facts = append(d.Facts, v.facts("admin.person.admin", v.t("admin.yes"))...)
	}
	open := section{ID: "sessions", Title: v.t("admin.person.sessions"), Empty: v.t("admin.person.no_sessions")}
	for _, s := range sessions {
		agent := v.agent(s)
		open.Cards = append(open.Cards, card{
			Title: agent, Facts: v.facts("admin.person.since", v.time(s.Since), "admin.person.seen", v.time(s.Seen)),
			Links: []link{{
				Text: v.t("admin.act.session_ended.button"), URL: v.path("person/end", "id", a.ID, "session", s.Ref),
				Label: v.t("admin.person.end_name", agent), Danger: true,
			}},
		})
	}
	if len(sessions) > 0 {
		open.Links = []link{{Text: v.t("admin.act.sessions_ended.button"), URL: v.path("person/end-all", "id", a.ID), Danger: true}}
	}
	d.Sections = []section{open}
	return v.show(http.StatusOK, "admin-detail", d)
}

func (v *visit) agent(s pages.Session) string {
	if s.Agent == "" {
		return v.t("admin.person.unknown")
	}
	return s.Agent
}

// personForm shows the form for a new account.
func (v *visit) personForm() error { return v.showPersonForm(http.StatusOK, admin.NewAccount{}, nil) }

func (v *visit) showPersonForm(status int, n admin.NewAccount, wrong error) error {
	f := form{
		Title: v.t("admin.person.new"), Lead: v.t("admin.person.new_lead"), Button: v.t("admin.person.create"), Back: v.path("people"),
		Groups: []group{{Fields: []field{
			{Name: "username", Type: "text", Label: v.t("admin.field.username"), Value: n.Username, Required: true, Focus: true},
			{Name: "admin", Type: "check", Label: v.t("admin.field.admin"), Checked: n.Admin},
		}}},
	}
	if wrong != nil {
		v.texts().Problem, f.Detail = "admin.problem.invalid", detail(wrong)
	}
	return v.show(status, "admin-form", f)
}

// createPerson makes an account, with a password that is made up.
func (v *visit) createPerson() error {
	form := v.Request.PostForm
	n := admin.NewAccount{Username: form.Get("username"), Admin: form.Get("admin") != ""}
	a, err := v.ops.CreateAccount(v.Context(), n)
	missing, err := allTheSame(err)
	switch {
	case errors.Is(err, admin.ErrExists):
		return v.showPersonForm(http.StatusConflict, n, err)
	case errors.Is(err, admin.ErrInvalid):
		return v.showPersonForm(http.StatusUnprocessableEntity, n, err)
	case err != nil:
		return err
	}
	ticket, err := v.keep(a.Password, "person "+a.ID)
	if err != nil {
		return err
	}
	return v.goTo(v.path("person", append(missing, "id", a.ID, "shown", ticket, "done", "person_created")...))
}

func aboutPerson(v *visit) ([]fact, string, error) {
	a, err := v.thePerson()
	if err != nil {
		return nil, "", err
	}
	sessions, err := v.ops.Sessions(v.Context(), a.ID)
	if err != nil {
		return nil, "", err
	}
	tokens, next, err := v.ops.Tokens(v.Context(), admin.TokenSelector{Subject: a.ID}, "", admin.MaxPage)
	if err != nil {
		return nil, "", err
	}
	return v.facts(
		"admin.field.username", a.Username, "admin.person.sub", a.ID,
		"admin.person.sessions_open", count(len(sessions), ""), "admin.tokens.live", count(len(tokens), next),
	), v.path("person", "id", a.ID), nil
}

func newPassword(v *visit) (string, []string, error) {
	id := v.query.Get("id")
	// Their own would be shown to them only once they had signed in with it.
	if err := v.notItself(id); err != nil {
		return "", nil, err
	}
	made, err := v.ops.SetPassword(v.Context(), id, "")
	missing, err := allTheSame(err)
	if err != nil {
		return "", nil, err
	}
	ticket, err := v.keep(made, "person "+id)
	return "person", append(missing, "id", id, "shown", ticket), err
}

func giveAdmin(v *visit) (string, []string, error) { return v.setAdmin(true) }
func takeAdmin(v *visit) (string, []string, error) { return v.setAdmin(false) }

func (v *visit) setAdmin(admin bool) (string, []string, error) {
	id := v.query.Get("id")
	err := v.notItself(id)
	if err == nil {
		err = v.ops.SetAdmin(v.Context(), id, admin)
	}
	return "person", []string{"id", id}, err
}

func deletePerson(v *visit) (string, []string, error) {
	id := v.query.Get("id")
	err := v.notItself(id)
	if err == nil {
		err = v.ops.DeleteAccount(v.Context(), id)
	}
	return "people", nil, err
}

func aboutSession(v *visit) ([]fact, string, error) {
	a, err := v.thePerson()
	if err != nil {
		return nil, "", err
	}
	sessions, err := v.ops.Sessions(v.Context(), a.ID)
	if err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(sessions, func(s pages.Session) bool { return s.Ref == v.query.Get("session") })
	if i < 0 {
		return nil, "", refusal{admin.ErrNotFound, "the account has no such session (hint: it has ended already)"}
	}
	s := sessions[i]
	return v.facts("admin.field.username", a.Username, "admin.person.browser", v.agent(s), "admin.person.since", v.time(s.Since), "admin.person.seen", v.time(s.Seen)),
		v.path("person", "id", a.ID), nil
}

func endSession(v *visit) (string, []string, error) {
	id := v.query.Get("id")
	return "person", []string{"id", id}, v.ops.EndSession(v.Context(), id, v.query.Get("session"))
}

func endSessions(v *visit) (string, []string, error) {
	id := v.query.Get("id")
	_, err := v.ops.EndSessions(v.Context(), id)
	return "person", []string{"id", id}, err
}
