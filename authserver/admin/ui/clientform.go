package ui

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/sneckauth/sneck/authserver/admin"
)

// clientForm shows the form for a new client, or for another state of one.
func (v *visit) clientForm() error {
	if !v.query.Has("id") {
		return v.showClientForm(http.StatusOK, admin.NewClient{ID: strings.ToLower(rand.Text())}, "", nil)
	}
	c, err := v.theClient()
	if err != nil {
		return err
	}
	return v.showClientForm(http.StatusOK, admin.NewClient{ID: c.ID, ClientSettings: c.ClientSettings, Public: c.Public}, c.Version, nil)
}

// showClientForm shows a form with what it has so far, and what is wrong with
// it. Without a version it is that of a new client.
func (v *visit) showClientForm(status int, n admin.NewClient, version string, wrong error) error {
	f := form{Title: v.t("admin.client.new"), Lead: v.t("admin.client.new_lead"), Button: v.t("admin.client.create"), Back: v.path("clients")}
	var usual, rare []field
	if version != "" {
		f.Title, f.Lead, f.Button = v.t("admin.client.edit_title", n.ID), v.t("admin.client.edit_lead"), v.t("admin.client.save")
		f.Back, f.Version = v.path("client", "id", n.ID), version
	} else {
		usual = []field{{Name: "client_id", Type: "text", Label: v.t("admin.field.client_id"), Hint: v.hint("client_id"), Value: n.ID, Required: true}}
	}
	for _, s := range settings(&n.ClientSettings) {
		if s.rare {
			rare = append(rare, s.field(v))
		} else {
			usual = append(usual, s.field(v))
		}
	}
	if version == "" {
		usual = append(usual, field{Name: "public", Type: "check", Label: v.t("admin.field.public"), Hint: v.hint("public"), Checked: n.Public})
	}
	f.Groups = []group{{Fields: usual}, {Title: v.t("admin.client.more"), Open: wrong != nil, Fields: rare}}
	if wrong != nil {
		v.texts().Problem, f.Detail = "admin.problem.invalid", detail(wrong)
		if errors.Is(wrong, admin.ErrChanged) {
			v.texts().Problem, f.Detail = "admin.problem.changed", ""
		}
	}
	return v.show(status, "admin-form", f)
}

// readClient returns what was filled in, and what can not be read of it.
func (v *visit) readClient() (n admin.NewClient, err error) {
	form := v.Request.PostForm
	var errs []error
	for _, s := range settings(&n.ClientSettings) {
		errs = append(errs, s.read(form))
	}
	n.ID, n.Public = form.Get("client_id"), form.Get("public") != ""
	return n, errors.Join(errs...)
}

// createClient registers a client. Its ID is in the form, so that one that is
// sent twice registers one client.
func (v *visit) createClient() error {
	n, err := v.readClient()
	if err != nil {
		return v.showClientForm(http.StatusUnprocessableEntity, n, "", err)
	}
	c, err := v.ops.CreateClient(v.Context(), n)
	missing, err := allTheSame(err)
	switch {
	case errors.Is(err, admin.ErrExists):
		return v.showClientForm(http.StatusConflict, n, "", err)
	case errors.Is(err, admin.ErrInvalid):
		return v.showClientForm(http.StatusUnprocessableEntity, n, "", err)
	case err != nil:
		return err
	}
	ticket := ""
	if c.Secret != "" {
		if ticket, err = v.keep(c.Secret, "client "+c.ID); err != nil {
			return err
		}
	}
	return v.goTo(v.path("client", append(missing, "id", c.ID, "shown", ticket, "done", "client_created")...))
}

// showNewSecret goes to a client that was changed, and has got a secret by that.
func (v *visit) showNewSecret(c *admin.Client, err error) error {
	missing, err := allTheSame(err)
	if err != nil {
		return err
	}
	ticket, err := v.keep(c.Secret, "client "+c.ID)
	if err != nil {
		return err
	}
	return v.goTo(v.path("client", append(missing, "id", c.ID, "shown", ticket, "done", "secret_instead")...))
}

// changeClient replaces the settings of a client.
func (v *visit) changeClient() error {
	n, err := v.readClient()
	n.ID = v.query.Get("id")
	version := v.Request.PostForm.Get("version")
	if version == "" {
		return refusal{admin.ErrChanged, "nothing says what the client was like"}
	}
	if err != nil {
		return v.showClientForm(http.StatusUnprocessableEntity, n, version, err)
	}
	c, err := v.ops.ChangeClient(v.Context(), n.ID, version, n.ClientSettings)
	if c != nil && c.Secret != "" {
		return v.showNewSecret(c, err)
	}
	switch {
	case errors.Is(err, admin.ErrChanged):
		return v.showClientForm(http.StatusConflict, n, version, err)
	case errors.Is(err, admin.ErrInvalid):
		return v.showClientForm(http.StatusUnprocessableEntity, n, version, err)
	case err != nil:
		return err
	}
	done := "client_changed"
	if c.SecretsEnded > 0 {
		done = "secrets_ended"
	}
	return v.goTo(v.path("client", "id", n.ID, "done", done))
}
