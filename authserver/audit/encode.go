package audit

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"reflect"
	"strconv"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/internal/appendjson"
)

// appendEntry appends what encoding/json makes of an entry, to the byte, for a
// small part of its time: the one goroutine that writes has to encode all that
// the others do.
func appendEntry(dst []byte, e Entry) ([]byte, error) {
	// The members that are written here, and nothing else.
	rest := e.Event
	rest.Kind, rest.Time, rest.Address, rest.Count = "", time.Time{}, netip.Addr{}, 0
	rest.Client, rest.Subject, rest.Grant, rest.Token, rest.Family, rest.Reason = "", "", "", "", "", ""
	rest.Scopes, rest.Audience = nil, nil
	if !reflect.ValueOf(rest).IsZero() {
		line, err := json.Marshal(e)
		return append(dst, line...), err
	}
	dst = strconv.AppendUint(append(dst, `{"seq":`...), e.Seq, 10)
	dst = append(dst, `,"prev":"`...)
	if e.Prev != (Hash{}) {
		dst = hex.AppendEncode(dst, e.Prev[:])
	}
	dst = appendjson.String(append(dst, `","kind":`...), string(e.Kind))
	dst = append(dst, `,"time":"`...)
	dst, err := e.Time.AppendText(dst)
	if err != nil {
		return dst, err
	}
	dst = appendEvent(append(dst, '"'), &e.Event)
	return append(dst, '}'), nil
}

// appendEvent appends the members that may be left out.
func appendEvent(dst []byte, e *authserver.Event) []byte {
	dst = appendjson.Member(dst, "client", e.Client)
	dst = appendjson.Member(dst, "subject", e.Subject)
	dst = appendjson.Member(dst, "grant", e.Grant)
	dst = appendjson.Members(dst, "scopes", e.Scopes)
	dst = appendjson.Members(dst, "audience", e.Audience)
	dst = appendjson.Member(dst, "token", e.Token)
	dst = appendjson.Member(dst, "family", e.Family)
	switch {
	case e.Address.Zone() != "":
		dst = appendjson.Member(dst, "address", e.Address.String())
	case e.Address.IsValid():
		dst = append(e.Address.AppendTo(append(dst, `,"address":"`...)), '"')
	}
	dst = appendjson.Member(dst, "reason", e.Reason)
	if e.Count != 0 {
		dst = strconv.AppendInt(append(dst, `,"count":`...), e.Count, 10)
	}
	return dst
}
