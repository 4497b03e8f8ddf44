package postgres

import (
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// The slots are the partitions of the table. See docs/decisions/0005.
const (
	slotRest  int16 = 0
	slotShort int16 = 1 // and the next two
	slotLong  int16 = 4 // and the next two
	slots     int16 = 7
	turns           = 3
)

// lives are the longest lives of the records in the slots for short and long
// ones. A slot takes the records that expire within one such span, then it is
// the turn of the next. So at any time records are written to two of three,
// and the third is emptied.
type lives struct{ short, long time.Duration }

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
		return slotShort + turn(r.Expires, l.short)
	case life <= l.long:
		return slotLong + turn(r.Expires, l.long)
	}
	return slotRest
}

// hot returns the two slots that are likely to have what is asked for.
func (l lives) hot(now time.Time) [2]int16 {
	return [2]int16{slotShort + turn(now, l.short), slotShort + turn(now.Add(l.short), l.short)}
}

func turn(at time.Time, span time.Duration) int16 {
	n := at.UnixMicro() / span.Microseconds() % turns
	return int16((n + turns) % turns) // also before 1970
}
