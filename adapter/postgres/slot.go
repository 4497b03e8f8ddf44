package postgres

import (
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// The slots are the partitions of the table. See docs/decisions/0005.
const (
	slotRest int16 = 0
	slots    int16 = 10
)

// slotsShort and slotsLong take turns.
var (
	slotsShort = []int16{1, 2, 3, 7, 8, 9}
	slotsLong  = []int16{4, 5, 6}
)

// lives are the longest lives of the records in the slots for short and long
// ones. A slot takes the records that expire within one span, then it is the
// turn of the next. The span of long ones is the longest such life, so at any
// time records are written to two of three, and the third is emptied. That of
// short ones, of which there are more, is half of it: so they are written to
// three of six, and what is emptied at a time is less.
type lives struct{ short, long time.Duration }

func (l lives) shortSpan() time.Duration { return l.short / 2 }

// slot returns where to put a record.
func (l lives) slot(r authserver.Record, now time.Time) int16 {
	if r.Expires.IsZero() {
		return slotRest
	}
	if !r.Issued.IsZero() {
		now = r.Issued
	}
	switch life := r.Expires.Sub(now); {
	case life <= l.short:
		return turn(slotsShort, r.Expires, l.shortSpan())
	case life <= l.long:
		return turn(slotsLong, r.Expires, l.long)
	}
	return slotRest
}

// hot returns the slots that are likely to have what is asked for.
func (l lives) hot(now time.Time) [3]int16 {
	span := l.shortSpan()
	return [3]int16{turn(slotsShort, now, span), turn(slotsShort, now.Add(span), span), turn(slotsShort, now.Add(2*span), span)}
}

// turn returns the slot whose turn it is.
func turn(slots []int16, at time.Time, span time.Duration) int16 {
	n := int64(len(slots))
	i := at.UnixMicro() / span.Microseconds() % n
	return slots[(i+n)%n] // also before 1970
}
