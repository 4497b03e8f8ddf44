package jws

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"slices"
)

// smallOrder lists the y coordinates, in hex, of the points of small order
// on the Edwards curve, those that are written with a value at or above the
// field's prime included. Under such a key some signature fits any message.
// The sign bit is left out: both signs are as bad.
var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func checkEd25519(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return errors.New("jws: Ed25519 key of a wrong length")
	}
	y := slices.Clone(key)
	y[31] &= 0x7f
	if slices.Contains(smallOrder, hex.EncodeToString(y)) {
		return errors.New("jws: Ed25519 key of small order")
	}
	return nil
}
