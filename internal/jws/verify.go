package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
)

// The algorithms that are verified (RFC 7518, section 3.1; RFC 8037, section
// 3.1; RFC 9864, section 2.2). EdDSA and Ed25519 name the same one.
const (
	RS256   = "RS256"
	RS384   = "RS384"
	RS512   = "RS512"
	PS256   = "PS256"
	PS384   = "PS384"
	PS512   = "PS512"
	ES256   = "ES256"
	ES384   = "ES384"
	ES512   = "ES512"
	EdDSA   = "EdDSA"
	Ed25519 = "Ed25519"
)

// Bounds of RSA keys: below, a key is weak (RFC 7518, section 3.3); above, a
// signature takes so long to check that a key set is a means of attack.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// Canonical returns the one name that an algorithm goes by here, or "" if it
// is none of those above. Names are compared byte by byte: "none", "nOnE"
// and "HS256" are not among them.
func Canonical(alg string) string {
	switch alg {
	case RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA:
		return alg
	case Ed25519:
		return EdDSA
	}
	return ""
}

var (
	// ErrSignature means that a signature does not verify.
	ErrSignature = errors.New("jws: signature does not verify")
	errAlgorithm = errors.New("jws: key and algorithm do not belong together")
)

// CheckKey returns an error unless a public key may be used with the
// algorithm: it is of the right type, on the right curve, and of a size and
// form that is safe.
func CheckKey(alg string, key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if len(alg) != 5 || alg[1] != 'S' || alg[0] != 'R' && alg[0] != 'P' {
			return errAlgorithm
		}
		return checkRSA(key)
	case *ecdsa.PublicKey:
		if key == nil || key.Curve == nil || key.Curve != curve(alg) {
			return errAlgorithm
		}
		if _, err := key.Bytes(); err != nil {
			return errors.New("jws: point is not on the curve")
		}
		return nil
	case ed25519.PublicKey:
		if alg != EdDSA {
			return errAlgorithm
		}
		return checkEd25519(key)
	}
	return fmt.Errorf("jws: keys of type %T are not supported (hint: *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey)", key)
}

func checkRSA(key *rsa.PublicKey) error {
	if key == nil || key.N == nil {
		return errors.New("jws: RSA key without a modulus")
	}
	if bits := key.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
		return fmt.Errorf("jws: RSA key of %d bits (hint: use %d to %d)", bits, MinRSABits, MaxRSABits)
	}
	if key.E < 65537 || key.E&1 == 0 || key.E > 1<<31-1 || key.N.Bit(0) == 0 {
		return errors.New("jws: RSA key with an unsafe modulus or exponent (hint: use the exponent 65537)")
	}
	return nil
}

func curve(alg string) elliptic.Curve {
	switch alg {
	case ES256:
		return elliptic.P256()
	case ES384:
		return elliptic.P384()
	case ES512:
		return elliptic.P521()
	}
	return nil
}

// Verify checks the signature of input, which is the header and payload
// segments with their dot, by a key that passed [CheckKey] for the algorithm.
// It returns [ErrSignature] if the signature is not of this key, algorithm
// and input, and another error if key and algorithm do not fit.
func Verify(alg string, key crypto.PublicKey, input string, signature []byte) error {
	ok := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		return verifyRSA(alg, key, input, signature)
	case *ecdsa.PublicKey:
		if key.Curve != curve(alg) {
			return errAlgorithm
		}
		ok = verifyECDSA(alg, key, input, signature)
	case ed25519.PublicKey:
		if alg != EdDSA || len(key) != ed25519.PublicKeySize {
			return errAlgorithm
		}
		ok = ed25519.Verify(key, []byte(input), signature)
	default:
		return errAlgorithm
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

func verifyRSA(alg string, key *rsa.PublicKey, input string, signature []byte) error {
	var buf [sha512.Size]byte
	var err error
	switch alg {
	case RS256, RS384, RS512:
		h, digest := hash(&buf, alg, input)
		err = rsa.VerifyPKCS1v15(key, h, digest, signature)
	case PS256, PS384, PS512:
		h, digest := hash(&buf, alg, input)
		// The salt is as long as the hash (RFC 7518, section 3.5).
		err = rsa.VerifyPSS(key, h, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	default:
		return errAlgorithm
	}
	if err != nil {
		return ErrSignature
	}
	return nil
}

// verifyECDSA takes the fixed-width concatenation of r and s and nothing else
// (RFC 7518, section 3.4), and hands it on as the DER that crypto/ecdsa
// wants. That checks both to be in [1, n-1].
func verifyECDSA(alg string, key *ecdsa.PublicKey, input string, signature []byte) bool {
	size := (key.Curve.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return false
	}
	var buf [sha512.Size]byte
	_, digest := hash(&buf, alg, input)
	// 2 integers of at most 66+1 bytes with 2 bytes before each, and at most
	// 3 bytes before both.
	var der [2*(66+1+2) + 3]byte
	body := appendInteger(der[3:3], signature[:size])
	body = appendInteger(body, signature[size:])
	start := 1
	if len(body) > 0x7f {
		start = 0
		der[1] = 0x81
	}
	der[start], der[2] = 0x30, byte(len(body))
	return ecdsa.VerifyASN1(key, digest, der[start:3+len(body)])
}

// appendInteger appends the DER encoding of a big-endian unsigned integer.
func appendInteger(dst, b []byte) []byte {
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	if b[0]&0x80 != 0 {
		dst = append(dst, 0x02, byte(len(b)+1), 0)
	} else {
		dst = append(dst, 0x02, byte(len(b)))
	}
	return append(dst, b...)
}

// hash hashes input with the hash that the algorithm's name ends in.
func hash[T string | []byte](buf *[sha512.Size]byte, alg string, input T) (crypto.Hash, []byte) {
	switch alg[len(alg)-3:] {
	case "384":
		sum := sha512.Sum384([]byte(input))
		return crypto.SHA384, buf[:copy(buf[:], sum[:])]
	case "512":
		sum := sha512.Sum512([]byte(input))
		return crypto.SHA512, buf[:copy(buf[:], sum[:])]
	}
	sum := sha256.Sum256([]byte(input))
	return crypto.SHA256, buf[:copy(buf[:], sum[:])]
}
