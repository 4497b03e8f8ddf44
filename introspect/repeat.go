package introspect

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	// maxRepeats is one for a fault and one for renewed credentials.
	maxRepeats = 2
	minWait    = 10 * time.Millisecond
	maxWait    = 50 * time.Millisecond
)

// checkRetry decides whether a try is repeated: once if it can help within
// the deadline, and once if the credentials could be renewed.
func checkRetry(ctx context.Context, r *http.Response, err error) (bool, error) {
	q := ctx.(*call)
	if ctx.Err() != nil {
		return false, nil
	}
	if err == nil && r.StatusCode == http.StatusUnauthorized {
		return q.renew(), nil
	}
	if q.repeated || !helpful(q, r, err) {
		return false, nil
	}
	q.repeated = true
	q.client.counters.retries.Add(1)
	return true, nil
}

// renew signs again after a 401. It reports whether that made a difference.
func (q *call) renew() bool {
	refused := q.header.Get("Authorization")
	if q.renewed || refused == "" {
		return false
	}
	q.renewed = true
	if err := q.sign(refused); err != nil || q.header.Get("Authorization") == refused {
		return false
	}
	q.signed = true
	q.client.counters.renewals.Add(1)
	return true
}

// helpful reports whether the same try may succeed a moment later. A timeout
// is no such fault: to ask again triples the load of an authority that is
// already slow.
func helpful(q *call, r *http.Response, err error) bool {
	if err != nil {
		return connectionLost(err)
	}
	switch r.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		wait := retryAfter(r, q.client.now())
		deadline, ok := q.Deadline()
		if r.StatusCode == http.StatusTooManyRequests && wait == 0 {
			return false
		}
		return !ok || time.Until(deadline) > wait+maxWait
	}
	return false
}

// connectionLost reports whether there was no answer, not even the beginning
// of one, for a reason that may be gone.
func connectionLost(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		alert       tls.AlertError
		record      tls.RecordHeaderError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &record):
		return false
	case errors.As(err, &timeout) && timeout.Timeout():
		return false
	}
	return true
}

// backoff waits tens of milliseconds, or as long as the authority asked for:
// checkRetry has seen that there is time for it.
func backoff(_, _ time.Duration, _ int, r *http.Response) time.Duration {
	if r != nil {
		if r.StatusCode == http.StatusUnauthorized {
			return 0
		}
		if wait := retryAfter(r, time.Now()); wait > 0 {
			return wait
		}
	}
	return minWait + rand.N(maxWait-minWait)
}

// prepareRetry makes the next try: an assertion must be fresh each time.
func prepareRetry(r *http.Request) error {
	q := r.Context().(*call)
	if !q.signed {
		if err := q.sign(""); err != nil {
			return err
		}
	}
	q.signed = false
	r.Header, r.ContentLength = q.header, int64(len(q.body))
	return nil
}
