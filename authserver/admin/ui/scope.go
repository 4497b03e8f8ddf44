package ui

// scopes lists what tokens can allow.
func (v *visit) scopes() error {
	all, err := v.ops.Scopes(v.Context())
	if err != nil {
		return err
	}
	l := list{}
	for _, s := range all {
		l.Cards = append(l.Cards, card{Title: s.Name, Facts: v.facts("admin.scopes.text", s.Text), Links: []link{
			{Text: v.t("admin.scopes.clients"), URL: v.path("clients", "text", s.Name), Label: v.t("admin.scopes.clients_of", s.Name)},
		}})
	}
	return v.showList("admin.scopes", l, "")
}
