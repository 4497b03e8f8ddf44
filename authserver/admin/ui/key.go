package ui

import (
	"slices"

	"github.com/sneckauth/sneck/authserver/admin"
)

// keys lists the signing keys.
func (v *visit) keys() error {
	all, err := v.ops.Keys(v.Context())
	if err != nil {
		return err
	}
	l := list{Links: []link{{Text: v.t("admin.keys.rotate"), URL: v.path("keys/rotate")}}}
	for _, k := range all {
		l.Cards = append(l.Cards, card{
			Title: k.ID, Tags: []string{v.t("admin.key." + k.State)}, Facts: v.keyFacts(k),
			Links: []link{{
				Text: v.t("admin.act.key_retired.button"), URL: v.path("keys/retire", "kid", k.ID),
				Label: v.t("admin.keys.retire_name", k.ID), Danger: true,
			}},
		})
	}
	return v.showList("admin.keys", l, "")
}

func (v *visit) keyFacts(k admin.Key) []fact {
	return v.facts(
		"admin.keys.algorithm", k.Algorithm, "admin.keys.published", v.time(k.Published), "admin.keys.signs", v.time(k.Signs),
		"admin.keys.retires", v.time(k.Retires), "admin.keys.gone", v.time(k.Gone),
	)
}

func aboutKeys(v *visit) ([]fact, string, error) {
	all, err := v.ops.Keys(v.Context())
	return v.facts("admin.keys.published_now", count(len(all), "")), v.path("keys"), err
}

func rotateKey(v *visit) (string, []string, error) {
	_, err := v.ops.RotateKey(v.Context())
	return "keys", nil, err
}

func aboutKey(v *visit) ([]fact, string, error) {
	all, err := v.ops.Keys(v.Context())
	if err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(all, func(k admin.Key) bool { return k.ID == v.query.Get("kid") })
	if i < 0 {
		return nil, "", refusal{admin.ErrNotFound, "there is no such key (hint: it was retired already)"}
	}
	return append(v.facts("admin.keys.kid", all[i].ID, "admin.keys.state", v.t("admin.key."+all[i].State)), v.keyFacts(all[i])...), v.path("keys"), nil
}

func retireKey(v *visit) (string, []string, error) {
	return "keys", nil, v.ops.RetireKey(v.Context(), v.query.Get("kid"))
}
