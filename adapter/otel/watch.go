package otel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
)

// A source is where a count is read, and what tells it from others of the same
// instrument.
type source[S any] struct {
	attribute attribute.KeyValue // of no key if the instrument has no other
	read      func(*S) int64
}

// An instrument is one that is read when metrics are collected.
type instrument[S any] struct {
	name, unit, description string
	level                   bool // may fall
	sources                 []source[S]
}

// WatchCache has the counters of a cache collected with the metrics, under a
// name that tells it from other caches of the program. It ends with
// [Telemetry.Close].
func (t *Telemetry) WatchCache(name string, c interface{ Stats() cache.Stats }) error {
	return watch(t, attribute.String("sneck.cache.name", name), cacheInstruments(), c.Stats)
}

// WatchIntrospection has the counters of an introspection client collected
// with the metrics, under a name that tells it from other clients of the
// program. It ends with [Telemetry.Close].
func (t *Telemetry) WatchIntrospection(name string, c interface{ Stats() introspect.Stats }) error {
	return watch(t, attribute.String("sneck.introspection.name", name), introspectionInstruments(), c.Stats)
}

func cacheInstruments() []instrument[cache.Stats] {
	type s = cache.Stats
	lookup := tag[s]("sneck.cache.result")
	fault := tag[s]("sneck.cache.shared.fault")
	return []instrument[s]{
		{"sneck.cache.lookups", "{lookup}", "Requests to the cache.", false, []source[s]{
			lookup("hit", func(s *s) int64 { return int64(s.Hits) }),
			lookup("inactive_hit", func(s *s) int64 { return int64(s.InactiveHits) }),
			lookup("miss", func(s *s) int64 { return int64(s.Misses) }),
		}},
		{"sneck.cache.coalesced", "{lookup}", "Misses that waited for the question of another.", false,
			only(func(s *s) int64 { return int64(s.Coalesced) })},
		{"sneck.cache.stale", "{lookup}", "Misses that were given an answer beyond its time, in an outage.", false,
			only(func(s *s) int64 { return int64(s.StaleServed) })},
		{"sneck.cache.questions", "{question}", "Questions to the verifier behind the cache.", false,
			only(func(s *s) int64 { return int64(s.Flights) })},
		{"sneck.cache.failures", "{question}", "Questions that the verifier could not answer.", false,
			only(func(s *s) int64 { return int64(s.Failures) })},
		{"sneck.cache.refreshes", "{question}", "Questions asked ahead of need.", false,
			only(func(s *s) int64 { return int64(s.Refreshes) })},
		{"sneck.cache.revocations", "{revocation}", "Revocations made here, and received.", false,
			only(func(s *s) int64 { return int64(s.Revocations) })},
		{"sneck.cache.evictions", "{entry}", "Entries given up for want of room.", false,
			only(func(s *s) int64 { return int64(s.Evictions) })},
		{"sneck.cache.size", "By", "Estimated size of the entries.", true,
			only(func(s *s) int64 { return s.Bytes })},
		{"sneck.cache.shared.hits", "{question}", "Questions that the shared tier answered.", false,
			only(func(s *s) int64 { return int64(s.SharedHits) })},
		{"sneck.cache.shared.faults", "{operation}", "Operations of the shared tier that failed, were skipped, did not happen as revocations do not arrive, or found a forged value.", false, []source[s]{
			fault("failed", func(s *s) int64 { return int64(s.SharedErrors) }),
			fault("skipped", func(s *s) int64 { return int64(s.SharedSkipped) }),
			fault("behind", func(s *s) int64 { return int64(s.SharedBehind) }),
			fault("forged", func(s *s) int64 { return int64(s.SharedForged) }),
		}},
		{"sneck.cache.shared.joined", "1", "Whether the shared tier is read: 1 or 0.", true,
			only(func(s *s) int64 {
				if s.SharedJoined {
					return 1
				}
				return 0
			})},
	}
}

func introspectionInstruments() []instrument[introspect.Stats] {
	type s = introspect.Stats
	result := tag[s]("sneck.introspection.result")
	repeat := tag[s]("sneck.introspection.repeat")
	fault := tag[s]("sneck.introspection.fault")
	return []instrument[s]{
		{"sneck.introspection.questions", "{question}", "Questions about tokens.", false, []source[s]{
			result("active", func(s *s) int64 { return int64(s.Active) }),
			result("invalid", func(s *s) int64 { return int64(s.Invalid) }),
			result("unrecognized", func(s *s) int64 { return int64(s.Unrecognized) }),
			result("malformed", func(s *s) int64 { return int64(s.Malformed) }),
			result("unavailable", func(s *s) int64 { return int64(s.Unavailable) }),
			result("withdrawn", func(s *s) int64 { return int64(s.Withdrawn) }),
		}},
		{"sneck.introspection.requests", "{request}", "Requests to the authority.", false,
			only(func(s *s) int64 { return int64(s.Tries) })},
		{"sneck.introspection.repeats", "{request}", "Requests that repeat another.", false, []source[s]{
			repeat("retry", func(s *s) int64 { return int64(s.Retries) }),
			repeat("failover", func(s *s) int64 { return int64(s.Failovers) }),
			repeat("renewal", func(s *s) int64 { return int64(s.Renewals) }),
		}},
		{"sneck.introspection.faults", "{fault}", "What has kept questions from an answer.", false, []source[s]{
			fault("limited", func(s *s) int64 { return int64(s.Limited) }),
			fault("broken", func(s *s) int64 { return int64(s.Broken) }),
			fault("timeout", func(s *s) int64 { return int64(s.Timeouts) }),
			fault("bad_answer", func(s *s) int64 { return int64(s.BadAnswers) }),
			fault("credentials_refused", func(s *s) int64 { return int64(s.CredentialsRefused) }),
		}},
		{"sneck.introspection.breaker.opened", "{event}", "How often an endpoint was begun to be left alone.", false,
			only(func(s *s) int64 { return int64(s.Opened) })},
	}
}

// tag returns a function that makes sources with a value of the attribute.
func tag[S any](key attribute.Key) func(value string, read func(*S) int64) source[S] {
	return func(value string, read func(*S) int64) source[S] { return source[S]{key.String(value), read} }
}

func only[S any](read func(*S) int64) []source[S] { return []source[S]{{read: read}} }

// watch registers the instruments of one watched thing.
func watch[S any](t *Telemetry, name attribute.KeyValue, list []instrument[S], stats func() S) error {
	type reading struct {
		from    metric.Int64Observable
		option  metric.ObserveOption
		current func(*S) int64
	}
	var (
		observables []metric.Observable
		readings    []reading
		errs        []error
	)
	for _, i := range list {
		from, err := observable(t.meter, i.name, i.unit, i.description, i.level)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		observables = append(observables, from)
		for _, s := range i.sources {
			set := []attribute.KeyValue{name}
			if s.attribute.Valid() {
				set = append(set, s.attribute)
			}
			readings = append(readings, reading{from, metric.WithAttributeSet(attribute.NewSet(set...)), s.read})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	registration, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := stats()
		for _, r := range readings {
			o.ObserveInt64(r.from, r.current(&now), r.option)
		}
		return nil
	}, observables...)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = append(t.ending, registration)
	return nil
}

func observable(m metric.Meter, name, unit, description string, level bool) (metric.Int64Observable, error) {
	if level {
		return m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	}
	return m.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
}
