package main

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// A limitPair is a limit for each client, and one for each address.
type limitPair struct {
	Client  rate `yaml:"client" placeholder:"RATE" doc:"requests of one client, such as 100/s burst 500" go:"Client"`
	Address rate `yaml:"address" placeholder:"RATE" doc:"requests from one address" go:"Address"`
}

func (p limitPair) limit() authserver.EndpointLimit {
	return authserver.EndpointLimit{Client: authserver.Rate(p.Client), Address: authserver.Rate(p.Address)}
}

// A rate is one of the server in words: "10/m burst 60". The zero value stands
// for a default.
type rate authserver.Rate

func perSecond(n, burst int) rate { return rate{Count: n, Per: time.Second, Burst: burst} }
func perMinute(n, burst int) rate { return rate{Count: n, Per: time.Minute, Burst: burst} }

var rateForm = regexp.MustCompile(`^([1-9][0-9]{0,8})/([smh])(?: burst ([1-9][0-9]{0,8}))?$`)

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
	count, _ := strconv.Atoi(parts[1]) // nine digits fit
	burst := count
	if parts[3] != "" {
		burst, _ = strconv.Atoi(parts[3])
	}
	*r = rate{Count: count, Per: ratePeriods[parts[2]], Burst: burst}
	return nil
}

// String returns the text that UnmarshalText reads; empty for the zero value.
func (r rate) String() string {
	switch {
	case r.InsecureUnlimited:
		return insecureUnlimited
	case r == rate{}:
		return ""
	}
	for unit, per := range ratePeriods {
		if per == r.Per {
			return fmt.Sprintf("%d/%s burst %d", r.Count, unit, authserver.Rate(r).Depth())
		}
	}
	return fmt.Sprintf("%d/%v burst %d", r.Count, r.Per, authserver.Rate(r).Depth())
}
