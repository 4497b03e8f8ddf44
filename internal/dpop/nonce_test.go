package dpop_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/internal/dpop"
)

// The vectors are of another implementation of HMAC, so servers of different
// releases understand each other.
func TestNonces(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	n := dpop.NewNonces(key, "label", 0)
	key[0] = 'x' // which is not its own
	for at, want := range map[int64]string{
		0: "W31lAXyjxaYGEgI7g_xaLVih", 299: "W31lAXyjxaYGEgI7g_xaLVih",
		300: "SagWRodLy5XGjIupFE_m3Nl0", 1893553445: "ULJr20Aw_oIDs6b7I6b180iA",
	} {
		assert.Equal(t, want, n.At(time.Unix(at, 0)))
	}
	first := n.At(time.Unix(0, 0))
	for at, want := range map[int64]bool{0: true, 299: true, 599: true, 600: false} {
		assert.Equal(t, want, n.Good(first, time.Unix(at, 0)), at)
	}
	assert.False(t, n.Good(n.At(time.Unix(300, 0)), time.Unix(299, 0)), "not handed out yet")
	assert.False(t, n.Good("", time.Unix(0, 0)))
	assert.NotEqual(t, first, dpop.NewNonces([]byte("0123456789abcdef0123456789abcdef"), "another", 0).At(time.Unix(0, 0)))

	var none *dpop.Nonces
	assert.Nil(t, dpop.NewNonces(nil, "label", 0))
	assert.Empty(t, none.At(time.Unix(0, 0)))
	assert.True(t, none.Good("anything", time.Unix(0, 0)))
}
