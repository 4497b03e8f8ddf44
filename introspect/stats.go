package introspect

import "sync/atomic"

// Stats counts what a [Client] has done since it was made. Every question
// is counted in exactly one of the first six.
type Stats struct {
	// Active and Invalid are definite answers.
	Active, Invalid uint64
	// Unrecognized were refused by [Config.Recognize] as another's, and
	// Malformed by it or by [sneck.ValidToken], without a call.
	Unrecognized, Malformed uint64
	// Unavailable are questions that found no answer.
	Unavailable uint64
	// Withdrawn are questions whose asker went away, or whose own deadline
	// came, before there was an answer.
	Withdrawn uint64

	// Tries are requests sent. Of them, Retries repeat another after a fault,
	// Failovers do so at another endpoint, and Renewals repeat another with
	// renewed credentials.
	Tries, Retries, Failovers, Renewals uint64
	// Limited are questions above [Config.Rate], and Broken those that met no
	// endpoint that is not left alone; Opened is how often that began.
	Limited, Broken, Opened uint64
	// Timeouts are questions that met the deadline of the Client.
	Timeouts uint64
	// BadAnswers are answers with status 200 that could not be understood.
	BadAnswers uint64
	// CredentialsRefused are answers that refused our own credentials.
	CredentialsRefused uint64
}

type counters struct {
	active, invalid, unrecognized, malformed, unavailable, withdrawn atomic.Uint64
	tries, retries, failovers, renewals, limited, broken, opened     atomic.Uint64
	timeouts, badAnswers, credentials                                atomic.Uint64
}

// Stats returns the counters. They are read one after the other, so that
// calls in progress may be counted in one and not yet in another.
func (c *Client) Stats() Stats {
	n := &c.counters
	return Stats{
		Active: n.active.Load(), Invalid: n.invalid.Load(),
		Unrecognized: n.unrecognized.Load(), Malformed: n.malformed.Load(),
		Unavailable: n.unavailable.Load(), Withdrawn: n.withdrawn.Load(),
		Tries: n.tries.Load(), Retries: n.retries.Load(), Failovers: n.failovers.Load(), Renewals: n.renewals.Load(),
		Limited: n.limited.Load(), Broken: n.broken.Load(), Opened: n.opened.Load(),
		Timeouts: n.timeouts.Load(), BadAnswers: n.badAnswers.Load(), CredentialsRefused: n.credentials.Load(),
	}
}
