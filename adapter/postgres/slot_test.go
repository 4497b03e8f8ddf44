package postgres

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/authserver"
)

// A record that lives for a short time is always in one of the slots in which
// is looked first; and these are never all, so there is one to be emptied.
func TestSlotsTakeTurns(t *testing.T) {
	l := lives{2 * time.Hour, 32 * 24 * time.Hour}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	used := map[int16]bool{}
	for range 20_000 {
		issued := start.Add(rand.N(2 * 365 * 24 * time.Hour))
		life := rand.N(l.short + 1)
		r := authserver.Record{Issued: issued, Expires: issued.Add(life)}
		slot := l.slot(r, time.Time{})
		used[slot] = true
		assert.Contains(t, slotsShort, slot)
		hot := l.hot(issued.Add(rand.N(life + 1)))
		assert.Contains(t, hot, slot, "issued %v, life %v", issued, life)
		assert.Len(t, map[int16]bool{hot[0]: true, hot[1]: true, hot[2]: true}, 3)
	}
	assert.Len(t, used, len(slotsShort))

	issued := start.Add(time.Hour)
	for life, want := range map[time.Duration][]int16{
		l.short + 1: slotsLong, l.long: slotsLong, l.long + 1: {slotRest},
	} {
		assert.Contains(t, want, l.slot(authserver.Record{Issued: issued, Expires: issued.Add(life)}, time.Time{}), life)
	}
	assert.Equal(t, slotRest, l.slot(authserver.Record{Issued: issued}, issued))
	assert.Contains(t, slotsShort, l.slot(authserver.Record{Expires: time.Unix(-100_000, 0)}, time.Unix(-100_001, 0)), "before 1970")
}
