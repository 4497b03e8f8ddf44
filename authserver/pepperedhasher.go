package authserver

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
)

// NewPepperedHasher returns a SecretHasher for what people have chosen, which
// makes argon2id hashes of keyed digests: of what is in the database alone no
// guess can be tested, not even slowly. The peppers are as in
// Config.SecretPeppers: the first is for new hashes, the others are old ones.
// A hash whose pepper is gone can not be verified any more.
//
// It makes the same of what was generated, so for a server's own secrets
// Config.SecretPeppers is the better choice: those are verified in a
// microsecond.
func NewPepperedHasher(peppers [][]byte) (SecretHasher, error) {
	if len(peppers) == 0 {
		return nil, errors.New("authserver: a peppered hasher without peppers (hint: 32 random bytes from a secret store)")
	}
	if err := checkPeppers(peppers); err != nil {
		return nil, err
	}
	var h pepperedHasher
	for _, key := range clonePeppers(peppers) {
		h = append(h, newPepper(key))
	}
	return h, nil
}

type pepperedHasher []pepper

// pepperedArgon2Prefix begins "$x-hmac-argon2id$id$v=19$m=…,t=…,p=…$salt$sum",
// where id is the pepper's.
const pepperedArgon2Prefix = ForeignPrefix + "hmac-argon2id$"

// digest is what is hashed in place of the secret.
func (p pepper) digest(secret string) string {
	return base64.RawStdEncoding.EncodeToString(p.sum(secret))
}

// HashSecret implements [SecretHasher].
func (h pepperedHasher) HashSecret(_ context.Context, secret string, _ bool) (string, error) {
	if err := checkChosen(secret); err != nil {
		return "", err
	}
	hashed, err := HashChosen(h[0].digest(secret))
	return pepperedArgon2Prefix + h[0].id + strings.TrimPrefix(hashed, "$argon2id"), err
}

// VerifySecret implements [SecretHasher].
func (h pepperedHasher) VerifySecret(_ context.Context, hash, secret string) (bool, error) {
	id, argon2, err := parsePepperedArgon2(hash)
	if err != nil || len(secret) > maxSecret {
		return false, err
	}
	for _, p := range h {
		if p.id == id {
			return argon2.matches(p.digest(secret)), nil
		}
	}
	return false, errors.New("authserver: the pepper of a hash is not configured (hint: keep old peppers until all secrets have been used)")
}

// Outdated implements [SecretHasher].
func (h pepperedHasher) Outdated(hash string) bool {
	id, argon2, err := parsePepperedArgon2(hash)
	return err == nil && (id != h[0].id || !argon2.current())
}

func parsePepperedArgon2(text string) (id string, h hash, err error) {
	rest, ok := strings.CutPrefix(text, pepperedArgon2Prefix)
	id, argon2, found := strings.Cut(rest, "$")
	if !ok || !found {
		return "", nil, errDamagedHash
	}
	h, err = parseArgon2("$argon2id$" + argon2)
	return id, h, err
}
