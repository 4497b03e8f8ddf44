package ui

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
)

// A setting is something that can be said about a client, and where it is kept:
// one of the pointers. Its name is that of the parameter, and of its text.
type setting struct {
	name    string
	rare    bool // among those that most clients do not need
	kind    string
	choices []string
	text    *string
	list    *[]string
	yes     *bool
	number  *int64
	json    *json.RawMessage
}

// settings returns every setting of a client, in the order of the form.
func settings(s *admin.ClientSettings) []setting {
	return []setting{
		{name: "client_name", kind: "text", text: &s.Name},
		{name: "grant_types", kind: "checks", list: &s.Grants, choices: []string{
			authserver.GrantAuthorizationCode, authserver.GrantClientCredentials, authserver.GrantRefreshToken, authserver.GrantDeviceCode,
		}},
		{name: "redirect_uris", kind: "lines", list: &s.RedirectURIs},
		{name: "scope", kind: "text", text: &s.Scope},
		{name: "audience", kind: "lines", list: &s.Audience},
		{name: "introspect", kind: "check", yes: &s.Introspect},
		{name: "serves", kind: "lines", list: &s.Serves},
		{name: "default_scope", kind: "text", text: &s.DefaultScope, rare: true},
		{name: "required_scope", kind: "text", text: &s.RequiredScope, rare: true},
		{name: "resources", kind: "lines", list: &s.Resources, rare: true},
		{name: "redirect_uri_schemes", kind: "lines", list: &s.RedirectSchemes, rare: true},
		{name: "access_token_expire_seconds", kind: "number", number: &s.TokenTTL, rare: true},
		{name: "access_token_format", kind: "select", text: &s.TokenFormat, rare: true, choices: []string{"", "opaque", "jwt"}},
		{name: "token_endpoint_auth_method", kind: "select", text: &s.AuthMethod, rare: true, choices: []string{
			"", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth", "none",
		}},
		{name: "token_endpoint_auth_signing_alg", kind: "text", text: &s.AuthAlgorithm, rare: true},
		{name: "jwks", kind: "lines", json: &s.JWKS, rare: true},
		{name: "jwks_uri", kind: "text", text: &s.JWKSURI, rare: true},
		{name: "tls_client_auth_subject_dn", kind: "text", text: &s.CertificateSubject, rare: true},
		{name: "tls_client_auth_san_dns", kind: "text", text: &s.CertificateDNS, rare: true},
		{name: "tls_client_auth_san_uri", kind: "text", text: &s.CertificateURI, rare: true},
		{name: "tls_client_auth_san_ip", kind: "text", text: &s.CertificateIP, rare: true},
		{name: "tls_client_auth_san_email", kind: "text", text: &s.CertificateEmail, rare: true},
		{name: "tls_client_certificate_bound_access_tokens", kind: "check", yes: &s.CertificateBound, rare: true},
		{name: "dpop_bound_access_tokens", kind: "check", yes: &s.DPoPBound, rare: true},
	}
}

// field returns the field for a setting.
func (s setting) field(v *visit) field {
	f := field{Name: s.name, Type: s.kind, Label: v.t("admin.field." + s.name), Hint: v.hint(s.name)}
	switch {
	case s.kind == "checks":
		f.Choices = choose(v.grantName, *s.list, s.choices...)
	case s.kind == "select":
		f.Choices = choose(func(value string) string {
			if value == "" {
				return v.t("admin.by_server")
			}
			return value
		}, []string{*s.text}, s.choices...)
	case s.text != nil:
		f.Value = *s.text
	case s.list != nil:
		f.Value = strings.Join(*s.list, "\n")
	case s.yes != nil:
		f.Checked = *s.yes
	case s.number != nil && *s.number != 0:
		f.Value = strconv.FormatInt(*s.number, 10)
	case s.json != nil:
		f.Value = string(*s.json)
	}
	return f
}

// read takes a setting from a form, and returns what is wrong with it.
func (s setting) read(form url.Values) error {
	text := strings.TrimSpace(form.Get(s.name))
	switch {
	case s.kind == "checks":
		*s.list = form[s.name]
	case s.text != nil:
		*s.text = text
	case s.list != nil:
		*s.list = lines(text)
	case s.yes != nil:
		*s.yes = text != ""
	case s.number != nil && text != "":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return refusal{admin.ErrInvalid, s.name + " is not a number (hint: seconds, such as 900)"}
		}
		*s.number = n
	case s.json != nil && text != "":
		if !json.Valid([]byte(text)) {
			return refusal{admin.ErrInvalid, s.name + ` is not JSON (hint: {"keys": […]})`}
		}
		*s.json = json.RawMessage(text)
	}
	return nil
}

// show returns what a setting is for people, and "" if nothing is set.
func (s setting) show(v *visit) string {
	switch f := s.field(v); {
	case s.kind == "checks":
		return strings.Join(v.grantNames(*s.list), "\n")
	case s.kind == "select":
		return *s.text
	case s.yes != nil && *s.yes:
		return v.t("admin.yes")
	default:
		return f.Value
	}
}

// hint returns what more there is to say about a field, or "".
func (v *visit) hint(name string) string {
	key := "admin.hint." + name
	if text := v.t(key); text != key {
		return text
	}
	return ""
}

// grantName returns what a grant type is called.
func (v *visit) grantName(grant string) string {
	key := "admin.grant." + grant[strings.LastIndexByte(grant, ':')+1:]
	if text := v.t(key); text != key {
		return text
	}
	return grant
}

func (v *visit) grantNames(grants []string) []string {
	names := make([]string, len(grants))
	for i, g := range grants {
		names[i] = v.grantName(g)
	}
	return names
}
