package ui

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver/admin"
)

// clients lists clients.
func (v *visit) clients() error {
	text := v.query.Get("text")
	found, next, err := v.ops.Clients(v.Context(), text, v.query.Get("after"), pageSize)
	if err != nil {
		return err
	}
	l := list{
		Search: []field{{Name: "text", Type: "search", Label: v.t("admin.clients.search"), Value: text}},
		Links:  []link{{Text: v.t("admin.clients.new"), URL: v.path("clients/new")}},
	}
	for _, c := range found {
		one := card{Title: c.ID, Link: v.path("client", "id", c.ID), Facts: v.facts(
			"admin.field.client_name", c.Name, "admin.field.grant_types", strings.Join(v.grantNames(c.Grants), ", "), "admin.field.scope", c.Scope,
		)}
		if c.Public {
			one.Tags = []string{v.t("admin.clients.public")}
		}
		l.Cards = append(l.Cards, one)
	}
	return v.showList("admin.clients", l, next)
}

// theClient returns the client that the request is about.
func (v *visit) theClient() (*admin.Client, error) {
	return v.ops.Client(v.Context(), v.query.Get("id"))
}

// client shows a client.
func (v *visit) client() error {
	c, err := v.theClient()
	if err != nil {
		return err
	}
	secret, err := v.take("client " + c.ID)
	if err != nil {
		return err
	}
	d := detailPage{Title: c.ID, Lead: v.t("admin.client.lead"), Secret: secret, SecretLead: v.t("admin.client.secret_once"), Links: []link{
		{Text: v.t("admin.client.edit"), URL: v.path("client/edit", "id", c.ID)},
		{Text: v.t("admin.client.tokens"), URL: v.path("tokens", "client", c.ID)},
		{Text: v.t("admin.client.audit"), URL: v.path("audit", "client", c.ID)},
		{Text: v.t("admin.client.delete"), URL: v.path("client/delete", "id", c.ID), Danger: true},
	}}
	for _, s := range settings(&c.ClientSettings) {
		if value := s.show(v); value != "" {
			d.Facts = append(d.Facts, fact{Label: v.t("admin.field." + s.name), Value: value})
		}
	}
	secrets := section{ID: "secrets", Title: v.t("admin.client.secrets"), Empty: v.t("admin.client.no_secrets")}
	for _, s := range c.Secrets {
		secrets.Cards = append(secrets.Cards, v.secretCard(c, s))
	}
	if !c.Public {
		secrets.Links = []link{{Text: v.t("admin.client.add_secret"), URL: v.path("client/secret", "id", c.ID)}}
	}
	d.Sections = []section{secrets}
	return v.show(http.StatusOK, "admin-detail", d)
}

func (v *visit) secretCard(c *admin.Client, s admin.Secret) card {
	one := card{Title: v.t("admin.client.secret", s.ID), Facts: v.facts("admin.client.expires", v.ends(s.Expires)), Links: []link{{
		Text: v.t("admin.act.secret_retired.button"), URL: v.path("client/retire", "id", c.ID, "secret", s.ID),
		Label: v.t("admin.client.retire_name", s.ID), Danger: true,
	}}}
	if s.Expired {
		one.Tags = []string{v.t("admin.client.expired")}
	}
	return one
}

// ends returns a moment, or that there is none.
func (v *visit) ends(t time.Time) string {
	if t.IsZero() {
		return v.t("admin.never")
	}
	return v.time(t)
}

// graces are how long older secrets may go on, for those who replace one.
func graces() map[string]time.Duration {
	return map[string]time.Duration{"day": 24 * time.Hour, "week": 7 * 24 * time.Hour, "month": 30 * 24 * time.Hour}
}

// secretForm asks how long the older secrets are to go on.
func (v *visit) secretForm() error {
	c, err := v.theClient()
	if err != nil {
		return err
	}
	older := choose(func(value string) string { return v.t("admin.grace." + value) }, []string{"never"}, "never", "day", "week", "month")
	return v.show(http.StatusOK, "admin-form", form{
		Title: v.t("admin.client.add_secret"), Lead: v.t("admin.client.add_secret_lead", c.ID), Button: v.t("admin.client.add_secret"),
		Back: v.path("client", "id", c.ID), Version: c.Version,
		Groups: []group{{Fields: []field{{Name: "older", Type: "select", Label: v.t("admin.field.older"), Choices: older}}}},
	})
}

// addSecret makes another secret. A form that is sent twice does it once,
// unless both come at the same moment.
func (v *visit) addSecret() error {
	before, err := v.theClient()
	if err != nil {
		return err
	}
	form, ctx := v.Request.PostForm, v.Context()
	grace, limited := graces()[form.Get("older")]
	switch {
	case before.Version != form.Get("version"):
		return refusal{admin.ErrChanged, "the client has changed"}
	case !limited && form.Get("older") != "never":
		return refusal{admin.ErrInvalid, "nothing says what becomes of the older secrets (hint: choose)"}
	}
	made, err := v.ops.AddSecret(ctx, before.ID, time.Time{})
	missing, err := allTheSame(err)
	if err != nil {
		return err
	}
	ticket, err := v.keep(made.Value, "client "+before.ID)
	if err != nil {
		return err
	}
	if limited {
		at := v.site.config.Pages.Now().Add(grace)
		_, err := v.ops.RetireOtherSecrets(ctx, before.ID, made.ID, at)
		more, err := allTheSame(err)
		if err != nil {
			return err
		}
		missing = append(missing, more...)
	}
	return v.goTo(v.path("client", append(missing, "id", before.ID, "shown", ticket, "done", "secret_added")...))
}

func aboutSecret(v *visit) ([]fact, string, error) {
	c, err := v.theClient()
	if err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(c.Secrets, func(s admin.Secret) bool { return s.ID == v.query.Get("secret") })
	if i < 0 {
		return nil, "", refusal{admin.ErrNotFound, "the client has no such secret (hint: it was retired already)"}
	}
	return v.facts("admin.field.client_id", c.ID, "admin.client.secret_id", c.Secrets[i].ID, "admin.client.expires", v.ends(c.Secrets[i].Expires)),
		v.path("client", "id", c.ID), nil
}

func retireSecret(v *visit) (string, []string, error) {
	id := v.query.Get("id")
	_, err := v.ops.RetireSecret(v.Context(), id, v.query.Get("secret"), time.Time{})
	return "client", []string{"id", id}, err
}

func aboutClient(v *visit) ([]fact, string, error) {
	c, err := v.theClient()
	if err != nil {
		return nil, "", err
	}
	tokens, next, err := v.ops.Tokens(v.Context(), admin.TokenSelector{Client: c.ID}, "", admin.MaxPage)
	if err != nil {
		return nil, "", err
	}
	return v.facts("admin.field.client_id", c.ID, "admin.field.client_name", c.Name, "admin.tokens.live", count(len(tokens), next)),
		v.path("client", "id", c.ID), nil
}

func deleteClient(v *visit) (string, []string, error) {
	_, err := v.ops.DeleteClient(v.Context(), v.query.Get("id"))
	return "clients", nil, err
}
