package jws

import (
	"math"
	"strconv"
	"time"
)

// maxDate is the last second of the year 9999; there is no honest claim
// beyond, and arithmetic with it can not overflow.
const maxDate = 253402300799

// Date reads a NumericDate, as a value of [Members]: seconds since 1970, with
// or without a fraction (RFC 7519, section 2). It reports false for any other
// value, and for dates before 1970 or after 9999.
func Date(value []byte) (time.Time, bool) {
	if whole, ok := integer(value); ok {
		return time.Unix(whole, 0).UTC(), true
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || !(seconds >= 0 && seconds <= maxDate) {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), true
}

// integer reads what dates are nearly always written as: up to 11 digits,
// which is less than maxDate. value is a JSON value, so there are no leading
// zeros.
func integer(value []byte) (n int64, ok bool) {
	if len(value) > 11 {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
