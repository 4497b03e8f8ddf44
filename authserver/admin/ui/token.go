package ui

import (
	"errors"
	"strings"

	"github.com/sneckauth/sneck/authserver/admin"
)

// tokens lists tokens that are still good, of a client, a person or a family.
func (v *visit) tokens() error {
	which := admin.TokenSelector{Client: v.query.Get("client"), Family: v.query.Get("family")}
	person := strings.TrimSpace(v.query.Get("person"))
	var err error
	if which.Subject, err = v.subject(person); err != nil {
		return err
	}
	l := list{Search: []field{
		{Name: "client", Type: "search", Label: v.t("admin.field.client_id"), Value: which.Client},
		{Name: "person", Type: "search", Label: v.t("admin.tokens.person"), Value: person, Hint: v.t("admin.tokens.person_hint")},
		{Name: "family", Type: "search", Label: v.t("admin.tokens.family"), Value: which.Family, Hint: v.t("admin.tokens.family_hint")},
	}}
	if which == (admin.TokenSelector{}) {
		return v.showList("admin.tokens_of", l, "")
	}
	found, next, err := v.ops.Tokens(v.Context(), which, v.query.Get("after"), pageSize)
	if err != nil {
		return err
	}
	l.Links = []link{{Text: v.t("admin.tokens.revoke_all"), URL: v.revoke(which), Danger: true}}
	for _, t := range found {
		l.Cards = append(l.Cards, v.tokenCard(t))
	}
	return v.showList("admin.tokens", l, next)
}

// subject returns the subject of a person who is known by name; everything else
// is one already.
func (v *visit) subject(person string) (string, error) {
	if person == "" {
		return "", nil
	}
	a, err := v.ops.AccountByName(v.Context(), person)
	switch {
	case err == nil:
		return a.ID, nil
	case errors.Is(err, admin.ErrNotFound), errors.Is(err, admin.ErrAbsent):
		return person, nil
	}
	return "", err
}

func (v *visit) tokenCard(t admin.Token) card {
	return card{
		Title: v.t("admin.token." + t.Kind), Facts: v.tokenFacts(t),
		Links: []link{{
			Text: v.t("admin.tokens.revoke"), URL: v.revoke(admin.TokenSelector{ID: t.ID, Family: t.Family, Client: t.Client, Subject: t.Subject}),
			Label: v.t("admin.tokens.revoke_name", t.ID), Danger: true,
		}},
	}
}

func (v *visit) tokenFacts(t admin.Token) []fact {
	facts := v.facts("admin.tokens.jti", t.ID)
	facts = append(facts, fact{v.t("admin.field.client_id"), t.Client, v.path("client", "id", t.Client)})
	if t.Subject != "" && t.Subject != t.Client {
		facts = append(facts, fact{v.t("admin.tokens.sub"), t.Subject, v.path("person", "id", t.Subject)})
	}
	if t.Family != "" {
		facts = append(facts, fact{v.t("admin.tokens.family"), t.Family, v.path("tokens", "family", t.Family)})
	}
	return append(facts, v.facts(
		"admin.field.scope", t.Scope, "admin.field.audience", strings.Join(t.Audience, "\n"),
		"admin.tokens.issued", v.time(t.Issued), "admin.tokens.expires", v.ends(t.Expires),
	)...)
}

// revoke returns where tokens are revoked.
func (v *visit) revoke(which admin.TokenSelector) string {
	return v.path("tokens/revoke", "jti", which.ID, "family", which.Family, "client", which.Client, "sub", which.Subject)
}

// selected returns what the request is to revoke.
func (v *visit) selected() admin.TokenSelector {
	return admin.TokenSelector{ID: v.query.Get("jti"), Family: v.query.Get("family"), Client: v.query.Get("client"), Subject: v.query.Get("sub")}
}

// back returns the parameters of the list in which the tokens were.
func (v *visit) back() []string {
	which := v.selected()
	if which.ID != "" {
		// The token may have been the only one of its family.
		return []string{"client", which.Client}
	}
	return []string{"client", which.Client, "person", which.Subject, "family", which.Family}
}

func aboutTokens(v *visit) ([]fact, string, error) {
	which, back := v.selected(), v.path("tokens", v.back()...)
	tokens, next, err := v.ops.Tokens(v.Context(), which, "", admin.MaxPage)
	switch {
	case err != nil:
		return nil, "", err
	case which.ID == "":
		return v.facts(
			"admin.field.client_id", which.Client, "admin.tokens.sub", which.Subject, "admin.tokens.family", which.Family,
			"admin.tokens.live", count(len(tokens), next),
		), back, nil
	case len(tokens) == 0:
		return nil, "", refusal{admin.ErrNotFound, "there is no such live token (hint: it may have expired, or be revoked already)"}
	}
	facts := []fact{{Label: v.t("admin.tokens.kind"), Value: v.t("admin.token." + tokens[0].Kind)}}
	return append(facts, v.tokenFacts(tokens[0])...), back, nil
}

func revokeTokens(v *visit) (string, []string, error) {
	_, err := v.ops.RevokeTokens(v.Context(), v.selected())
	return "tokens", v.back(), err
}
