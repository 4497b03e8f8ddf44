package keysourcetest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/sneckauth/sneck/jwt"
	"github.com/sneckauth/sneck/jwt/keysourcetest"
)

// openSource returns a source that has a key of ES256 with the ID "a". Here it
// is a set in memory; another source is filled where it has its keys from.
func openSource(t *testing.T) jwt.KeySource {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwt.NewKey("a", jwt.ES256, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	set, err := jwt.NewKeySet(key)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// An adapter has this function by the name of TestKeySource.
func testKeySource(t *testing.T) {
	keysourcetest.Run(t, openSource(t), jwt.ES256, "a")
}

func Example() {
	_ = testKeySource // is called by "go test -race"
}
