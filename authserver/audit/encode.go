package audit

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"reflect"
	"strconv"
	"time"

	"github.com/sneckauth/sneck/authserver"
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
	dst = appendString(append(dst, `","kind":`...), string(e.Kind))
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
	dst = appendMember(dst, `,"client":`, e.Client)
	dst = appendMember(dst, `,"subject":`, e.Subject)
	dst = appendMember(dst, `,"grant":`, e.Grant)
	dst = appendList(dst, `,"scopes":`, e.Scopes)
	dst = appendList(dst, `,"audience":`, e.Audience)
	dst = appendMember(dst, `,"token":`, e.Token)
	dst = appendMember(dst, `,"family":`, e.Family)
	switch {
	case e.Address.Zone() != "":
		dst = appendMember(dst, `,"address":`, e.Address.String())
	case e.Address.IsValid():
		dst = append(e.Address.AppendTo(append(dst, `,"address":"`...)), '"')
	}
	dst = appendMember(dst, `,"reason":`, e.Reason)
	if e.Count != 0 {
		dst = strconv.AppendInt(append(dst, `,"count":`...), e.Count, 10)
	}
	return dst
}

func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value)
}

func appendList(dst []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(append(dst, name...), '[')
	for i, value := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, value)
	}
	return append(dst, ']')
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // no string fails
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
