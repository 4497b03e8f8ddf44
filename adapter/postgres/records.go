package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

const (
	columns      = `key, slot, kind, family, client, subject, scopes, audience, issued, not_before, expires, spent, extra`
	selectRecord = `SELECT ` + columns + ` FROM records WHERE `
	insertRows   = `INSERT INTO records (` + columns + `) SELECT * FROM unnest(
		$1::bytea[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
		$9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bytea[])`
)

// A row is a record as it is stored; it shares nothing with the record.
type row struct {
	key                               authserver.Key
	random                            bool
	slot                              int16
	kind, client                      string
	family, subject, scopes, audience *string
	issued, notBefore, expires, spent *int64
	extra                             []byte
}

var errText = errors.New("postgres: a text of the record has a NUL or is not UTF-8")

func (l lives) rows(records []authserver.Record) ([]row, error) {
	now := time.Now()
	rows := make([]row, len(records))
	for i, r := range records {
		for _, s := range append([]string{string(r.Kind), r.Family, r.Client, r.Subject, r.Scopes.String()}, r.Audience...) {
			if !storable(s) {
				return nil, errText
			}
		}
		rows[i] = row{
			key: r.Key, random: r.Random, slot: l.slot(r, now), kind: string(r.Kind), client: r.Client,
			family: text(r.Family), subject: text(r.Subject), scopes: text(r.Scopes.String()),
			issued: micros(r.Issued), notBefore: micros(r.NotBefore), expires: micros(r.Expires), spent: micros(r.Spent),
		}
		if len(r.Extra) > 0 {
			rows[i].extra = append([]byte(nil), r.Extra...)
		}
		if len(r.Audience) > 0 {
			data, err := json.Marshal(r.Audience)
			if err != nil {
				return nil, err
			}
			rows[i].audience = text(string(data))
		}
	}
	return rows, nil
}

// storable reports whether the database can keep the text.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// arrays returns the rows by columns, as insertRows takes them.
func arrays(rows []row) []any {
	n := len(rows)
	keys, extra := make([][]byte, n), make([][]byte, n)
	slot := make([]int16, n)
	kind, client := make([]string, n), make([]string, n)
	family, subject, set, audience := make([]*string, n), make([]*string, n), make([]*string, n), make([]*string, n)
	issued, notBefore, expires, spent := make([]*int64, n), make([]*int64, n), make([]*int64, n), make([]*int64, n)
	for i := range rows {
		r := &rows[i]
		keys[i], slot[i], kind[i], client[i], extra[i] = r.key[:], r.slot, r.kind, r.client, r.extra
		family[i], subject[i], set[i], audience[i] = r.family, r.subject, r.scopes, r.audience
		issued[i], notBefore[i], expires[i], spent[i] = r.issued, r.notBefore, r.expires, r.spent
	}
	return []any{keys, slot, kind, family, client, subject, set, audience, issued, notBefore, expires, spent, extra}
}

// A stored record knows its slot.
type stored struct {
	authserver.Record
	slot int16
}

func scanRecord(rows pgx.CollectableRow) (stored, error) {
	var (
		r                                 stored
		key, extra                        []byte
		kind                              string
		family, subject, set, audience    *string
		issued, notBefore, expires, spent *int64
	)
	err := rows.Scan(&key, &r.slot, &kind, &family, &r.Client, &subject, &set, &audience, &issued, &notBefore, &expires, &spent, &extra)
	if err != nil {
		return r, err
	}
	if copy(r.Key[:], key) != len(key) {
		return r, fmt.Errorf("postgres: a key has %d bytes", len(key))
	}
	r.Kind, r.Extra = authserver.Kind(kind), extra
	if family != nil {
		r.Family = *family
	}
	if subject != nil {
		r.Subject = *subject
	}
	if set != nil {
		r.Scopes = scopes.Set(strings.Split(*set, " "))
	}
	if audience != nil {
		if err := json.Unmarshal([]byte(*audience), &r.Audience); err != nil {
			return r, err
		}
	}
	r.Issued, r.NotBefore, r.Expires, r.Spent = moment(issued), moment(notBefore), moment(expires), moment(spent)
	return r, nil
}

// text returns NULL for the empty string.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// micros returns NULL for the zero time.
func micros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.UnixMicro()
	return &n
}

func moment(n *int64) time.Time {
	if n == nil {
		return time.Time{}
	}
	return time.UnixMicro(*n).UTC()
}
