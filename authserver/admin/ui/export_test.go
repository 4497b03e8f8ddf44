package ui

import (
	"net/url"

	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/pages"
)

var Kinds = kinds

// Keys returns the keys of texts that are put together.
func Keys() (keys []string) {
	for _, list := range []string{"clients", "people", "tokens", "tokens_of", "keys", "scopes", "audit"} {
		for _, part := range []string{"title", "lead", "found", "empty"} {
			keys = append(keys, "admin."+list+"."+part)
		}
	}
	for _, a := range acts() {
		for _, part := range []string{"title", "lead", "button"} {
			keys = append(keys, "admin.act."+a.name+"."+part)
		}
	}
	for _, s := range statuses() {
		keys = append(keys, "admin.done."+s)
	}
	for _, k := range kinds() {
		keys = append(keys, "admin.kind."+k)
	}
	for _, s := range settings(new(admin.ClientSettings)) {
		keys = append(keys, "admin.field."+s.name)
	}
	for _, grace := range []string{"never", "day", "week", "month"} {
		keys = append(keys, "admin.grace."+grace)
	}
	for _, grant := range []string{"authorization_code", "client_credentials", "refresh_token", "device_code"} {
		keys = append(keys, "admin.grant."+grant)
	}
	return append(keys, "admin.key.waiting", "admin.key.signing", "admin.key.retired", "admin.token.access", "admin.token.refresh")
}

// ThroughForm returns what the form for a client makes of settings, as browsers
// send it.
func ThroughForm(s admin.ClientSettings) (back admin.ClientSettings, err error) {
	v := &visit{view: new(pages.View)}
	form := url.Values{}
	for _, one := range settings(&s) {
		f := one.field(v)
		switch {
		case f.Type == "check" && !f.Checked:
		case f.Type == "check":
			form.Set(f.Name, "1")
		case f.Type == "checks" || f.Type == "select":
			for _, c := range f.Choices {
				if c.Checked {
					form.Add(f.Name, c.Value)
				}
			}
		default:
			form.Set(f.Name, f.Value)
		}
	}
	for _, one := range settings(&back) {
		if err := one.read(form); err != nil {
			return back, err
		}
	}
	return back, nil
}
