package ui

import (
	"errors"
	"net/http"

	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/audit"
)

// overview is the first page.
func (v *visit) overview() error {
	d := detailPage{Title: v.t("admin.overview.title"), Lead: v.t("admin.overview.lead", v.Account.Username)}
	clients, next, err := v.ops.Clients(v.Context(), "", "", admin.MaxPage)
	if err != nil {
		return err
	}
	d.Facts = append(d.Facts, fact{v.t("admin.nav.clients"), count(len(clients), next), v.path("clients")})
	people, next, err := v.ops.Accounts(v.Context(), "", "", pageSize)
	switch {
	case err == nil:
		d.Facts = append(d.Facts, fact{v.t("admin.nav.people"), count(len(people), next), v.path("people")})
	case !errors.Is(err, admin.ErrAbsent):
		return err
	}
	keys, err := v.ops.Keys(v.Context())
	switch {
	case err == nil:
		for _, k := range keys {
			if k.State == admin.StateSigning {
				d.Facts = append(d.Facts, fact{v.t("admin.overview.signing"), k.ID + " (" + k.Algorithm + ")", v.path("keys")})
			}
		}
	case !errors.Is(err, admin.ErrAbsent):
		return err
	}
	lately, err := v.lately()
	if err != nil {
		return err
	}
	d.Sections = lately
	return v.show(http.StatusOK, "admin-detail", d)
}

// latelyCount is how much the first page has of the audit log.
const latelyCount = 5

// lately returns what happened last, if there is an audit log.
func (v *visit) lately() ([]section, error) {
	found, err := v.ops.AuditSearch(v.Context(), audit.Query{}, "", latelyCount)
	if errors.Is(err, admin.ErrAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []section{{
		ID: "lately", Title: v.t("admin.overview.lately"), Empty: v.t("admin.audit.empty"), Cards: v.entries(found.Entries),
		Links: []link{{Text: v.t("admin.overview.all"), URL: v.path("audit")}},
	}}, nil
}
