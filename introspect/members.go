package introspect

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/strictjson"
	"github.com/sneckauth/sneck/scopes"
)

const (
	maxAudiences = 100
	// maxSeconds is the end of the year 9999. What is later was not meant as
	// seconds.
	maxSeconds = 253402300799
)

// members reads the members of an answer, whose JSON is known to be good. An absent one and null are the
// zero value. It remembers the first that has a wrong type or value.
type members struct {
	zone  *time.Location
	fault string // name of a member
	past  bool   // "exp" is a moment that a time.Time can not hold usefully
}

func (m *members) wrong(name string) {
	if m.fault == "" {
		m.fault = name
	}
}

func absent(v jsontext.Value) bool { return len(v) == 0 || v.Kind() == 'n' }

// text reads a string without control characters.
func (m *members) text(name string, v jsontext.Value) string {
	if absent(v) {
		return ""
	}
	if v.Kind() != '"' {
		m.wrong(name)
		return ""
	}
	s := string(v[1 : len(v)-1])
	if strings.IndexByte(s, '\\') >= 0 {
		unquoted, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			m.wrong(name)
		}
		s = string(unquoted)
	}
	if !printable(s) {
		m.wrong(name)
		return ""
	}
	return s
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// list reads a string or an array of strings.
func (m *members) list(name string, v jsontext.Value) []string {
	if absent(v) {
		return nil
	}
	if v.Kind() != '[' {
		return []string{m.text(name, v)}
	}
	var values []jsontext.Value
	if strictjson.Unmarshal(v, &values) != nil {
		m.wrong(name)
		return nil
	}
	out := make([]string, len(values))
	for i, value := range values {
		if out[i] = m.text(name, value); value.Kind() != '"' {
			m.wrong(name)
		}
	}
	return out
}

// texts reads a list of names. An empty one names nobody.
func (m *members) texts(name string, v jsontext.Value) []string {
	list := m.list(name, v)
	if len(list) > maxAudiences {
		m.wrong(name)
		return nil
	}
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// scopes reads a space-separated list (RFC 7662, section 2.2) or, as some
// authorities have it, an array.
func (m *members) scopes(name string, v jsontext.Value) scopes.Set {
	if absent(v) {
		return nil
	}
	var (
		set scopes.Set
		err error
	)
	if v.Kind() == '[' {
		set, err = scopes.Of(m.list(name, v)...)
	} else {
		set, err = scopes.Parse(m.text(name, v))
	}
	if err != nil {
		m.wrong(name)
		return nil
	}
	return set
}

// seconds reads a NumericDate (RFC 7519, section 2), which may have a
// fraction or an exponent.
func (m *members) seconds(name string, v jsontext.Value) float64 {
	if absent(v) {
		return 0
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if v.Kind() != '0' || err != nil || f > maxSeconds {
		m.wrong(name)
		return 0
	}
	return f
}

// time reads a moment. Zero means, as several authorities have it, that
// nothing is stated.
func (m *members) time(name string, v jsontext.Value) time.Time {
	f := m.seconds(name, v)
	if f < 0 {
		m.wrong(name)
	}
	if f <= 0 {
		return time.Time{}
	}
	return moment(f)
}

func moment(f float64) time.Time {
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9))
}

// expiry reads the moment after which nothing is valid, so that zero and less
// are long ago.
func (m *members) expiry(name string, v jsontext.Value) time.Time {
	if absent(v) {
		return time.Time{}
	}
	f := m.seconds(name, v)
	if f <= 0 {
		m.past = true
		return time.Time{}
	}
	return onWall(moment(f), m.zone)
}

// onWall takes the UTC reading of t for a reading in the zone.
func onWall(t time.Time, zone *time.Location) time.Time {
	if zone == nil || zone == time.UTC {
		return t
	}
	// A day before and after, the offsets are those on both sides of any
	// change of the clocks. The earlier moment that shows the reading counts,
	// or the earlier of the two if none does.
	_, before := t.Add(-24 * time.Hour).In(zone).Zone()
	_, after := t.Add(24 * time.Hour).In(zone).Zone()
	early := t.Add(-time.Duration(max(before, after)) * time.Second)
	late := t.Add(-time.Duration(min(before, after)) * time.Second)
	if !reads(early, t, zone) && reads(late, t, zone) {
		return late
	}
	return early
}

// reads reports whether a clock in the zone shows at the moment what a clock
// in UTC shows at the other.
func reads(moment, utc time.Time, zone *time.Location) bool {
	_, offset := moment.In(zone).Zone()
	return moment.Add(time.Duration(offset) * time.Second).Equal(utc)
}

// confirmation reads how the token is bound to a key (RFC 7800, section 3.1).
func (m *members) confirmation(name string, v jsontext.Value) *sneck.Confirmation {
	if absent(v) {
		return nil
	}
	var methods map[string]jsontext.Value
	if v.Kind() != '{' || strictjson.Unmarshal(v, &methods) != nil {
		m.wrong(name)
		return nil
	}
	c := &sneck.Confirmation{}
	for method, value := range methods {
		switch method {
		case "jkt":
			c.JKT = m.text(name, value)
		case "x5t#S256":
			c.X5TS256 = m.text(name, value)
		default:
			c.Unknown = true
		}
	}
	if c.JKT == "" && c.X5TS256 == "" {
		c.Unknown = true
	}
	return c
}
