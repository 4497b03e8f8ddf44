package pages

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A catalog has the texts of the pages in one language, by their keys.
type catalog map[string]string

// standard is the language of texts that another one lacks.
const standard = "en"

// loadLanguages reads every file whose name is a language tag with ".json".
func loadLanguages(files fs.FS) (map[string]catalog, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	languages := map[string]catalog{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var texts catalog
		if err := json.Unmarshal(data, &texts); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		languages[strings.ToLower(strings.TrimSuffix(name, ".json"))] = texts
	}
	for key := range languages[standard] {
		for tag, texts := range languages {
			if texts[key] == "" {
				return nil, fmt.Errorf("%s.json lacks %q", tag, key)
			}
			if want, got := strings.Count(languages[standard][key], "%s"), strings.Count(texts[key], "%s"); want != got {
				return nil, fmt.Errorf("%s.json has %d places for %d values in %q", tag, got, want, key)
			}
		}
	}
	return languages, nil
}

// maxTags is how many languages are looked at that somebody asks for.
const maxTags = 20

// chooseLanguage returns the language that is asked for first, of those that
// there are: by the parameter ui_locales (OpenID Connect Core, section
// 3.1.2.1), or by the header Accept-Language (RFC 9110, section 12.5.4).
func chooseLanguage(languages map[string]catalog, uiLocales, acceptLanguage string) string {
	tags := strings.Fields(cut(uiLocales, 200))
	for _, tag := range append(tags[:min(len(tags), maxTags)], acceptedTags(acceptLanguage)...) {
		// A region counts as the language without it.
		for tag = strings.ToLower(tag); tag != ""; {
			if languages[tag] != nil {
				return tag
			}
			tag = tag[:max(strings.LastIndexByte(tag, '-'), 0)]
		}
	}
	return standard
}

// acceptedTags returns the language tags of an Accept-Language header, the
// most wanted first.
func acceptedTags(header string) []string {
	type wanted struct {
		tag     string
		quality float64
	}
	var list []wanted
	for part := range strings.SplitSeq(cut(header, 1000), ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		w := wanted{strings.TrimSpace(tag), 1}
		if q, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if w.quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		if w.tag != "" && w.quality > 0 && len(list) < maxTags {
			list = append(list, w)
		}
	}
	slices.SortStableFunc(list, func(a, b wanted) int { return cmp.Compare(b.quality, a.quality) })
	tags := make([]string, len(list))
	for i, w := range list {
		tags[i] = w.tag
	}
	return tags
}

// text returns the text for a key, with the values in its places.
func (c catalog) text(key string, values ...any) string {
	text, ok := c[key]
	if !ok {
		return key
	}
	if len(values) == 0 {
		return text
	}
	return fmt.Sprintf(text, values...)
}

// date returns a day as people write it.
func (c catalog) date(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf(c.text("date.pattern"), strconv.Itoa(t.Day()), c.text("date.month."+strconv.Itoa(int(t.Month()))), strconv.Itoa(t.Year()))
}
