package main

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cmd/internal/proxy"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
)

// guardMetrics tell Prometheus what a guard does. Their names are those of
// adapter/otel as Prometheus spells them, and no value of theirs comes from a
// client, so that the number of time series is bounded.
type guardMetrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	took      prometheus.Histogram
}

func newGuardMetrics() *guardMetrics {
	m := &guardMetrics{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sneck_guard_decisions_total", Help: "Decisions about requests.",
		}, []string{"outcome", "reason"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sneck_guard_decision_duration_seconds", Help: "How long it took to decide.",
			Buckets: []float64{0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5},
		}),
	}
	m.registry.MustRegister(m.decisions, m.took, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler answers Prometheus; nil if it is told nothing.
func (m *guardMetrics) handler() http.Handler {
	if m == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

// observe is for [middleware.Config].
func (m *guardMetrics) observe(ctx context.Context, d middleware.Decision) {
	proxy.Observe(ctx, d)
	outcome := "refused"
	switch {
	case d.Allowed:
		outcome = "allowed"
	case d.Shadow:
		outcome = "shadow"
	}
	m.decisions.WithLabelValues(outcome, string(d.Reason)).Inc()
	m.took.Observe(d.Took.Seconds())
}

// A reading is a number that is read when metrics are collected.
type reading[S any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value string // of the label, if there is one
	read  func(*S) float64
}

// readings collect what something counts by itself.
type readings[S any] struct {
	stats func() S
	list  []reading[S]
}

// add adds a metric without a label.
func (r *readings[S]) add(kind prometheus.ValueType, name, help string, read func(*S) float64) {
	r.list = append(r.list, reading[S]{prometheus.NewDesc(name, help, nil, nil), kind, "", read})
}

// addBy adds a counter that a label divides, by the values of which it is read.
func (r *readings[S]) addBy(label, name, help string, by map[string]func(*S) uint64) {
	desc := prometheus.NewDesc(name, help, []string{label}, nil)
	for value, read := range by {
		r.list = append(r.list, reading[S]{desc, prometheus.CounterValue, value, func(s *S) float64 { return float64(read(s)) }})
	}
}

// Describe implements [prometheus.Collector].
func (r *readings[S]) Describe(to chan<- *prometheus.Desc) {
	for _, one := range r.list {
		to <- one.desc
	}
}

// Collect implements [prometheus.Collector].
func (r *readings[S]) Collect(to chan<- prometheus.Metric) {
	now := r.stats()
	for _, one := range r.list {
		var labels []string
		if one.value != "" {
			labels = []string{one.value}
		}
		to <- prometheus.MustNewConstMetric(one.desc, one.kind, one.read(&now), labels...)
	}
}

func (m *guardMetrics) watchCache(c *cache.Cache) {
	type s = cache.Stats
	r := &readings[s]{stats: c.Stats}
	r.addBy("result", "sneck_cache_lookups_total", "Requests to the memory for answers.", map[string]func(*s) uint64{
		"hit": func(s *s) uint64 { return s.Hits }, "inactive_hit": func(s *s) uint64 { return s.InactiveHits },
		"miss": func(s *s) uint64 { return s.Misses },
	})
	r.add(prometheus.CounterValue, "sneck_cache_stale_total", "Answers that were used beyond their time, in an outage.",
		func(s *s) float64 { return float64(s.StaleServed) })
	r.add(prometheus.CounterValue, "sneck_cache_shared_hits_total", "Questions that another guard had asked.",
		func(s *s) float64 { return float64(s.SharedHits) })
	r.addBy("fault", "sneck_cache_shared_faults_total", "Operations of Redis that failed, were not tried, or found what no guard has written.", map[string]func(*s) uint64{
		"failed": func(s *s) uint64 { return s.SharedErrors }, "skipped": func(s *s) uint64 { return s.SharedSkipped },
		"behind": func(s *s) uint64 { return s.SharedBehind }, "forged": func(s *s) uint64 { return s.SharedForged },
	})
	r.add(prometheus.GaugeValue, "sneck_cache_size_bytes", "Estimated size of the answers that are remembered.",
		func(s *s) float64 { return float64(s.Bytes) })
	m.registry.MustRegister(r)
}

func (m *guardMetrics) watchIntrospection(c *introspect.Client) {
	type s = introspect.Stats
	r := &readings[s]{stats: c.Stats}
	r.addBy("result", "sneck_introspection_questions_total", "Questions about tokens.", map[string]func(*s) uint64{
		"active": func(s *s) uint64 { return s.Active }, "invalid": func(s *s) uint64 { return s.Invalid },
		"unrecognized": func(s *s) uint64 { return s.Unrecognized }, "malformed": func(s *s) uint64 { return s.Malformed },
		"unavailable": func(s *s) uint64 { return s.Unavailable }, "withdrawn": func(s *s) uint64 { return s.Withdrawn },
	})
	r.add(prometheus.CounterValue, "sneck_introspection_requests_total", "Requests to the authorization server.",
		func(s *s) float64 { return float64(s.Tries) })
	r.addBy("fault", "sneck_introspection_faults_total", "What has kept questions from an answer.", map[string]func(*s) uint64{
		"limited": func(s *s) uint64 { return s.Limited }, "broken": func(s *s) uint64 { return s.Broken },
		"timeout": func(s *s) uint64 { return s.Timeouts }, "bad_answer": func(s *s) uint64 { return s.BadAnswers },
		"credentials_refused": func(s *s) uint64 { return s.CredentialsRefused },
	})
	m.registry.MustRegister(r)
}
