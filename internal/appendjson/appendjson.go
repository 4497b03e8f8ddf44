// Package appendjson writes JSON where so much of it is written that
// reflection counts. What it appends is what encoding/json writes, to the byte.
package appendjson

import "encoding/json"

// String appends a string. Bytes that are not UTF-8 become U+FFFD.
func String(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // no string fails
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// Member appends a member of an object that others stand before, unless the
// value is empty. The name is written as it is.
func Member(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return String(key(dst, name), value)
}

// Members appends a member whose value is a list of strings, as Member does.
func Members(dst []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(key(dst, name), '[')
	for i, value := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = String(dst, value)
	}
	return append(dst, ']')
}

func key(dst []byte, name string) []byte {
	return append(append(append(dst, `,"`...), name...), `":`...)
}
