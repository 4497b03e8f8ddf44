package authserver

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// A hash is a client secret at rest, taken apart.
type hash interface {
	// matches reports whether the secret is the one that was hashed.
	matches(secret string) bool
	// current reports whether new secrets of its kind are hashed like this.
	current() bool
}

// HashGenerated returns the form in which a generated secret is stored: its
// SHA-256 digest, "$sha256$" and 43 characters of base64. That is enough for
// a secret with 128 random bits or more, which nobody can search for, and it
// keeps authentication cheap. It is not enough for a secret that a person
// chose: see [HashChosen].
func HashGenerated(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return sha256Prefix + base64.RawStdEncoding.EncodeToString(sum[:])
}

// HashChosen returns the form in which a secret that a person chose is stored:
// argon2id with 19 MiB and 2 passes, in PHC format. It takes some tens of
// milliseconds, and so does the verification, which is therefore remembered
// for a minute and limited in concurrency. Secrets with fewer than 8 bytes
// are refused.
func HashChosen(secret string) (string, error) {
	if err := checkChosen(secret); err != nil {
		return "", err
	}
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	h := argon2Hash{memory: argon2Memory, time: argon2Time, threads: 1, salt: salt}
	h.sum = h.derive(secret, 32)
	return h.String(), nil
}

// checkChosen refuses what is too short to be a secret, or too long to be looked
// at.
func checkChosen(secret string) error {
	if len(secret) < minChosen || len(secret) > maxSecret {
		return fmt.Errorf("authserver: a chosen secret must have %d to %d bytes", minChosen, maxSecret)
	}
	return nil
}

const (
	sha256Prefix = "$sha256$"
	minChosen    = 8
	// maxForeignHash is the longest hash of a SecretHasher.
	maxForeignHash = 1024
	// The parameters of new argon2id hashes: memory in KiB, and passes.
	argon2Memory = 19 * 1024
	argon2Time   = 2
)

// parseHash understands the hashes of this package and, from other systems,
// argon2id in PHC format, bcrypt, and PBKDF2 as "pbkdf2_sha256$600000$salt$sum".
// It bounds what a verification may cost.
func parseHash(text string) (hash, error) {
	switch {
	case strings.HasPrefix(text, sha256Prefix):
		return parseSHA256(text)
	case strings.HasPrefix(text, pepperedPrefix):
		return parsePeppered(text)
	case isForeign(text) && len(text) <= maxForeignHash:
		return foreignHash{}, nil
	case strings.HasPrefix(text, "$argon2id$"):
		return parseArgon2(text)
	case strings.HasPrefix(text, "pbkdf2_sha256$"):
		return parsePBKDF2(text)
	case strings.HasPrefix(text, "$2a$"), strings.HasPrefix(text, "$2b$"), strings.HasPrefix(text, "$2y$"):
		if cost, err := bcrypt.Cost([]byte(text)); err != nil || cost > 15 || len(text) != 60 {
			return nil, errDamagedHash
		}
		return bcryptHash(text), nil
	}
	return nil, errors.New("the hash of a secret is of an unknown kind (hint: HashGenerated or HashChosen)")
}

var errDamagedHash = errors.New("the hash of a secret is damaged or too expensive")

type sha256Hash [sha256.Size]byte

func parseSHA256(text string) (hash, error) {
	raw, err := base64.RawStdEncoding.Strict().DecodeString(text[len(sha256Prefix):])
	if err != nil || len(raw) != sha256.Size {
		return nil, errDamagedHash
	}
	return sha256Hash(raw), nil
}

func (h sha256Hash) matches(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], h[:]) == 1
}

func (sha256Hash) current() bool { return true }

type argon2Hash struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

// parseArgon2 reads "$argon2id$v=19$m=19456,t=2,p=1$salt$sum".
func parseArgon2(text string) (hash, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[2] != "v=19" {
		return nil, errDamagedHash
	}
	var h argon2Hash
	params := strings.Split(parts[3], ",")
	if len(params) != 3 {
		return nil, errDamagedHash
	}
	var numbers [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(params[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil {
			return nil, errDamagedHash
		}
		numbers[i] = n
	}
	h.memory, h.time, h.threads = uint32(numbers[0]), uint32(numbers[1]), uint8(min(numbers[2], 255))
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.sum, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.sum) < 16 || len(h.sum) > 64 ||
		h.memory < 8 || h.memory > 256*1024 || h.time < 1 || h.time > 10 || h.threads < 1 || h.threads > 16 {
		return nil, errDamagedHash
	}
	return &h, nil
}

func (h *argon2Hash) derive(secret string, n int) []byte {
	return argon2.IDKey([]byte(secret), h.salt, h.time, h.memory, h.threads, uint32(n))
}

func (h *argon2Hash) matches(secret string) bool {
	return subtle.ConstantTimeCompare(h.derive(secret, len(h.sum)), h.sum) == 1
}

func (h *argon2Hash) current() bool { return h.memory >= argon2Memory && h.time >= argon2Time }

func (h *argon2Hash) String() string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", h.memory, h.time, h.threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.sum))
}

type pbkdf2Hash struct {
	iterations int
	salt       string
	sum        []byte
}

func parsePBKDF2(text string) (hash, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 4 || parts[2] == "" {
		return nil, errDamagedHash
	}
	n, err1 := strconv.Atoi(parts[1])
	sum, err2 := base64.StdEncoding.Strict().DecodeString(parts[3])
	if err1 != nil || err2 != nil || n < 1 || n > 5_000_000 || len(sum) != sha256.Size {
		return nil, errDamagedHash
	}
	return &pbkdf2Hash{n, parts[2], sum}, nil
}

func (h *pbkdf2Hash) matches(secret string) bool {
	sum, err := pbkdf2.Key(sha256.New, secret, []byte(h.salt), h.iterations, len(h.sum))
	return err == nil && subtle.ConstantTimeCompare(sum, h.sum) == 1
}

func (*pbkdf2Hash) current() bool { return false }

type bcryptHash string

// matches refuses secrets of which bcrypt would ignore the end.
func (h bcryptHash) matches(secret string) bool {
	return len(secret) <= 72 && bcrypt.CompareHashAndPassword([]byte(h), []byte(secret)) == nil
}

func (bcryptHash) current() bool { return false }
