package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"hash"
	"math/big"
	"strings"
)

// signature signs the way that "sign" says and returns the segment.
func (v vector) signature(input string) string {
	s, mode := v.signer(), v["sign"]
	enc := base64.RawURLEncoding.EncodeToString
	good := s.signature(input)
	switch mode {
	case "", "invalid-utf8", "newline-payload":
		return enc(good)
	case "flip":
		good[len(good)/2] ^= 1
		return enc(good)
	case "truncate":
		return enc(good[:len(good)-1])
	case "extend":
		return enc(append(good, 0))
	case "stranger":
		return enc(stranger.signature(input))
	case "newline":
		return enc(good[:48]) + "\n" + enc(good[48:])
	case "newline-end":
		return enc(good) + "\n"
	case "trailing-bits": // 64 bytes leave 4 bits that mean nothing in the last letter
		segment := []byte(enc(good))
		last := bytes.IndexByte([]byte(alphabet), segment[len(segment)-1])
		segment[len(segment)-1] = alphabet[last+1]
		return string(segment)
	case "standard-alphabet":
		for {
			if segment := base64.RawStdEncoding.EncodeToString(good); strings.ContainsAny(segment, "+/") {
				return segment
			}
			good = s.signature(input)
		}
	}
	switch kind, how, _ := strings.Cut(mode, "-"); kind {
	case "hmac":
		return enc(v.hmac(how, input))
	case "salt":
		return enc(salted(how, input))
	case "ec":
		return enc(odd(how, good))
	}
	panic("unknown way to sign: " + mode)
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// hmac makes a MAC with something public as the key.
func (v vector) hmac(how, input string) []byte {
	public := signers()["RS256"].private.Public().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	check(err)
	key := map[string][]byte{
		"pem":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"der":     der,
		"modulus": public.N.Bytes(),
		"jwk":     []byte(signers()["RS256"].jwk("")),
		"empty":   nil,
		"secret":  []byte("secret"),
	}[how]
	h := func() hash.Hash { return sha256.New() }
	if strings.Contains(v["header"], "HS384") {
		h = sha512.New384
	} else if strings.Contains(v["header"], "HS512") {
		h = sha512.New
	}
	mac := hmac.New(h, key)
	mac.Write([]byte(input))
	return mac.Sum(nil)
}

// salted makes a PS256 signature with a salt of another length.
func salted(how, input string) []byte {
	private := signers()["PS256"].private.(*rsa.PrivateKey)
	digest := sha256.Sum256([]byte(input))
	length := map[string]int{"0": 0, "20": 20, "longest": private.Size() - 32 - 2}[how]
	if length == 0 {
		sig := pssWithoutSalt(private, digest[:])
		check(rsa.VerifyPSS(&private.PublicKey, crypto.SHA256, digest[:], sig, nil)) // it is good for who takes any salt
		return sig
	}
	sig, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: length})
	check(err)
	return sig
}

// pssWithoutSalt is RSASSA-PSS with an empty salt (RFC 8017, section 9.1.1),
// which crypto/rsa has no option for.
func pssWithoutSalt(private *rsa.PrivateKey, digest []byte) []byte {
	size := private.Size()
	h := sha256.Sum256(append(make([]byte, 8), digest...))
	db := make([]byte, size-32-1)
	db[len(db)-1] = 1
	var mask []byte
	for i := byte(0); len(mask) < len(db); i++ {
		block := sha256.Sum256(append(h[:], 0, 0, 0, i))
		mask = append(mask, block[:]...)
	}
	for i := range db {
		db[i] ^= mask[i]
	}
	db[0] &= 0x7f
	em := append(append(db, h[:]...), 0xbc)
	return new(big.Int).Exp(new(big.Int).SetBytes(em), private.D, private.N).FillBytes(make([]byte, size))
}

// odd turns a good ES256 signature into another with its r and s.
func odd(how string, good []byte) []byte {
	r, s := new(big.Int).SetBytes(good[:32]), new(big.Int).SetBytes(good[32:])
	n, zero := elliptic.P256().Params().N, new(big.Int)
	switch how {
	case "der":
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		check(err)
		return der
	case "zero":
		r, s = zero, zero
	case "zero-r":
		r = zero
	case "zero-s":
		s = zero
	case "r-n":
		r = n
	case "s-n":
		s = n
	case "ones":
		r, s = big.NewInt(1), big.NewInt(1)
	case "r-plus-n":
		if r.Add(r, n); r.BitLen() > 256 {
			r = n // it does not fit, as nearly always
		}
	case "high-s":
		s.Sub(n, s)
	case "stripped":
		return append(r.Bytes()[1:], s.Bytes()...)
	}
	return concat(elliptic.P256(), r, s)
}
