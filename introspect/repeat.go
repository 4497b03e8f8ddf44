package introspect

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

const (
	// maxRepeats is one for a fault and one for renewed credentials.
	maxRepeats = 2
	minWait    = 10 * time.Millisecond
	maxWait    = 50 * time.Millisecond
)

// check decides whether a try is repeated: once after a fault if that can help
// within the deadline, and once if the credentials could be renewed.
func (q *call) check(ctx context.Context, r *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, nil
	}
	q.wait = minWait + rand.N(maxWait-minWait)
	switch {
	case err == nil && r.StatusCode == http.StatusUnauthorized:
		return q.renew(ctx), nil
	case err == nil && r.StatusCode == http.StatusTooManyRequests:
		return q.again(ctx, healthy, r), nil
	case err == nil && r.StatusCode < 500:
		return false, nil
	}
	if q.elsewhere(ctx) {
		return true, nil
	}
	return (err == nil || connectionLost(err)) && q.again(ctx, sick, r), nil
}

// renew signs again after a 401. It reports whether that made a difference.
func (q *call) renew(ctx context.Context) bool {
	refused := q.header.Get("Authorization")
	if q.renewed || refused == "" {
		return false
	}
	q.renewed = true
	if err := q.sign(ctx, refused); err != nil || q.header.Get("Authorization") == refused {
		return false
	}
	q.signed, q.wait = true, 0
	q.client.counters.renewals.Add(1)
	return true
}

// elsewhere turns to another endpoint that is well, if there is one. That adds
// nothing to the load of the sick one, so it costs no budget.
func (q *call) elsewhere(ctx context.Context) bool {
	if q.repeated || len(q.endpoints) == 1 {
		return false
	}
	next, _, ok := enter(q.endpoints, q.at, q.client.now())
	if !ok {
		return false
	}
	q.leave(ctx, sick)
	q.repeated, q.wait = true, 0
	q.at, q.visit = next.at, next
	q.client.counters.failovers.Add(1)
	return true
}

// again repeats a try at the same endpoint if it may succeed a moment later
// and the budget allows it.
func (q *call) again(ctx context.Context, how verdict, r *http.Response) bool {
	c := q.client
	if q.repeated || r != nil && !q.patient(ctx, r) {
		return false
	}
	q.leave(ctx, how)
	round, _, ok := q.at.breaker.allow(c.now())
	if !ok {
		return false
	}
	q.visit = visit{q.at, round}
	if !c.budget.spend() {
		q.leave(ctx, unknown)
		return false
	}
	q.repeated = true
	c.counters.retries.Add(1)
	return true
}

// patient reports whether the status is worth another try, and prepares to
// wait as long as the authority asks for, if there is so much time. A 504 is a
// timeout somebody else has waited for; to ask again multiplies the load of an
// authority that is slow already.
func (q *call) patient(ctx context.Context, r *http.Response) bool {
	wait := retryAfter(r, q.client.now())
	switch r.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable:
	case http.StatusTooManyRequests:
		if wait == 0 {
			return false
		}
	default:
		return false
	}
	q.wait = max(q.wait, wait)
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > q.wait
}

// connectionLost reports whether there was no answer, not even the beginning
// of one, for a reason that may be gone.
func connectionLost(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		alert       tls.AlertError
		record      tls.RecordHeaderError
		dns         *net.DNSError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &record):
		return false
	case errors.As(err, &dns) && dns.IsNotFound:
		return false
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return false
	}
	return true
}

func (q *call) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return q.wait }

// prepare makes the next try: where it goes may have changed, and an
// assertion must be fresh each time.
func (q *call) prepare(r *http.Request) error {
	if !q.signed {
		if err := q.sign(r.Context(), ""); err != nil {
			return err
		}
	}
	q.signed = false
	r.URL, r.Host = q.at.url, q.at.url.Host
	r.Header, r.ContentLength = q.header, int64(len(q.body))
	return nil
}
