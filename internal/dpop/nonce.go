package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

const (
	// MinNonceKey is the shortest key of Nonces, in bytes.
	MinNonceKey = 32
	// DefaultNonceTTL is how long nonces are good if nobody says otherwise.
	DefaultNonceTTL = 5 * time.Minute
	minNonceTTL     = time.Second
)

// Nonces are what a server hands out and wants to find in proofs (RFC 9449,
// section 8), so that nobody can make proofs ahead of time. They are functions
// of the time and a key: nothing is stored, and all servers with the same key
// know those of the others. A nil Nonces hands out none.
type Nonces struct {
	key   []byte
	label string
	ttl   time.Duration
}

// NewNonces returns the nonces of a key, nil if there is none. label keeps the
// nonces of different uses of a key apart. ttl is how long one is good at
// least, DefaultNonceTTL if zero; it is good for at most twice as long.
func NewNonces(key []byte, label string, ttl time.Duration) *Nonces {
	if key == nil {
		return nil
	}
	if ttl == 0 {
		ttl = DefaultNonceTTL
	}
	return &Nonces{slices.Clone(key), label, ttl}
}

// CheckNonces returns what is wrong with a key and a life of nonces; field is
// what the names of their settings begin with.
func CheckNonces(field string, key []byte, ttl time.Duration) []error {
	var errs []error
	if key != nil && len(key) < MinNonceKey {
		errs = append(errs, fmt.Errorf("%sNonceKey has %d bytes, fewer than %d", field, len(key), MinNonceKey))
	}
	if ttl < 0 || ttl > 0 && ttl < minNonceTTL {
		errs = append(errs, fmt.Errorf("%sNonceTTL %v is under a second", field, ttl))
	}
	return errs
}

// At returns the nonce that is handed out at a moment, or "" if none are in
// use.
func (n *Nonces) At(now time.Time) string {
	if n == nil {
		return ""
	}
	return n.of(n.period(now))
}

// Good reports whether a nonce was handed out in this period or the one
// before, or none are in use.
func (n *Nonces) Good(nonce string, now time.Time) bool {
	if n == nil {
		return true
	}
	same := func(period int64) bool { return subtle.ConstantTimeCompare([]byte(nonce), []byte(n.of(period))) == 1 }
	return same(n.period(now)) || same(n.period(now)-1)
}

func (n *Nonces) period(now time.Time) int64 { return now.UnixNano() / int64(n.ttl) }

func (n *Nonces) of(period int64) string {
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte(n.label))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(period)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}
