package redis_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
)

// What a route demands of an answer's age holds for those of others, too.
func TestMaxStalenessHoldsForSharedAnswers(t *testing.T) {
	address := redistest.Address(t)
	cfg := at(address)
	aged(t, cfg, address)
	var first, second authority
	one, two := sharing(t, &first, connect(t, cfg)), sharing(t, &second, connect(t, cfg))
	require.Equal(t, "sub-good-1", ask(one, "good-1"))
	shared(t, raw(t, address), cfg, 1)
	second.revoked.Store("good-1", true)
	_, err := two.Verify(sneck.WithMaxStaleness(t.Context(), 0), "good-1")
	assert.ErrorIs(t, err, sneck.ErrInvalid)
	assert.EqualValues(t, 1, second.calls.Load())
}
