package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// A limitPair is a limit for each client, and one for each address. What counts
// is said where it is used.
type limitPair struct {
	Client  rate `yaml:"client" placeholder:"RATE" doc:"of one client, such as 100/s burst 500" go:"Client"`
	Address rate `yaml:"address" placeholder:"RATE" doc:"from one address" go:"Address"`
}

func (p limitPair) limit() authserver.EndpointLimit {
	return authserver.EndpointLimit{Client: authserver.Rate(p.Client), Address: authserver.Rate(p.Address)}
}

// A rate is one of the server in words: "10/m burst 60", or "10/15m". The zero value
// stands for a default.
type rate authserver.Rate

func perSecond(n, burst int) rate { return rate{Count: n, Per: time.Second, Burst: burst} }
func perMinute(n, burst int) rate { return rate{Count: n, Per: time.Minute, Burst: burst} }

// perQuarter is for a quarter of an hour.
func perQuarter(n int) rate { return rate{Count: n, Per: 15 * time.Minute, Burst: n} }

var rateForm = regexp.MustCompile(`^([1-9][0-9]{0,8})/([1-9][0-9]?)?([smh])(?: burst ([1-9][0-9]{0,8}))?$`)

var ratePeriods = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

const insecureUnlimited = "insecure-unlimited"

// UnmarshalText reads a rate. Without a burst it is Count.
func (r *rate) UnmarshalText(text []byte) error {
	if string(text) == insecureUnlimited {
		*r = rate{InsecureUnlimited: true}
		return nil
	}
	parts := rateForm.FindStringSubmatch(string(text))
	if parts == nil {
		return fmt.Errorf("is no rate (hint: 100/s, 10/m burst 60, or %s)", insecureUnlimited)
	}
	count, burst, periods := whole(parts[1], 1), whole(parts[4], 0), whole(parts[2], 1)
	*r = rate{Count: count, Per: time.Duration(periods) * ratePeriods[parts[3]], Burst: cmp.Or(burst, count)}
	return nil
}

// whole reads a number of the form; otherwise if there is none.
func whole(digits string, otherwise int) int {
	if n, err := strconv.Atoi(digits); err == nil { // nine digits fit
		return n
	}
	return otherwise
}

// String returns the text that UnmarshalText reads; empty for the zero value.
func (r rate) String() string {
	switch {
	case r.InsecureUnlimited:
		return insecureUnlimited
	case r == rate{}:
		return ""
	}
	return fmt.Sprintf("%d/%s burst %d", r.Count, periodText(r.Per), authserver.Rate(r).Depth())
}

// periodText is how a rate says in what time: "s", or "15m".
func periodText(per time.Duration) string {
	for _, unit := range []string{"h", "m", "s"} {
		switch n := per / ratePeriods[unit]; {
		case n == 0 || per%ratePeriods[unit] != 0:
		case n == 1:
			return unit
		default:
			return strconv.Itoa(int(n)) + unit
		}
	}
	return per.String()
}
