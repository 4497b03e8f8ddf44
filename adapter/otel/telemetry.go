package otel

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/sneckauth/sneck/middleware"
)

// scope is the name of the instrumentation.
const scope = "github.com/sneckauth/sneck/adapter/otel"

// A Config says where telemetry goes. What is nil is the global one of
// OpenTelemetry, as with other instrumentation.
type Config struct {
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	// Propagator writes the trace into requests to the authority.
	Propagator propagation.TextMapPropagator
}

// A Telemetry tells OpenTelemetry what happens. Make one with [New]. It is
// safe for concurrent use.
type Telemetry struct {
	meter      metric.Meter
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator

	decisions metric.Int64Counter
	duration  metric.Float64Histogram
	age       metric.Float64Histogram
	requests  httpconv.ClientRequestDuration

	known  sync.Map // of *series by kind
	kinds  atomic.Int64
	mu     sync.Mutex
	ending []metric.Registration
}

// New returns a Telemetry, or an error if OpenTelemetry does not take one of
// the instruments.
func New(c Config) (*Telemetry, error) {
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.Propagator == nil {
		c.Propagator = otel.GetTextMapPropagator()
	}
	t := &Telemetry{
		meter:      c.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL)),
		tracer:     c.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		propagator: c.Propagator,
	}
	var errs [4]error
	t.decisions, errs[0] = t.meter.Int64Counter("sneck.guard.decisions",
		metric.WithUnit("{decision}"), metric.WithDescription("Decisions about requests."))
	t.duration, errs[1] = t.meter.Float64Histogram("sneck.guard.decision.duration",
		metric.WithUnit("s"), metric.WithDescription("Time that decisions took."),
		metric.WithExplicitBucketBoundaries(1e-6, 1e-5, 1e-4, 1e-3, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5))
	t.age, errs[2] = t.meter.Float64Histogram("sneck.guard.verdict.age",
		metric.WithUnit("s"), metric.WithDescription("Time since the authority was asked about the token that is decided about."),
		metric.WithExplicitBucketBoundaries(0.01, 0.1, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600))
	t.requests, errs[3] = httpconv.NewClientRequestDuration(t.meter)
	return t, errors.Join(errs[:]...)
}

// Attributes of decisions, on metrics and on the span of the request.
const (
	keyOutcome = attribute.Key("sneck.decision.outcome")
	keyReason  = attribute.Key("sneck.decision.reason")
	keyRule    = attribute.Key("sneck.rule")
)

// other stands for rules beyond the first, as in the conventions for values
// that are not known.
const other = "_OTHER"

// maxKinds bounds how many kinds of decisions are told apart. Rules have names
// that a program gives them; if it makes them up from requests all the same,
// the memory for them is bounded.
const maxKinds = 4096

// A kind of decisions is what their attributes say.
type kind struct {
	outcome string
	reason  middleware.Reason
	rule    string
	failed  bool
}

// series are the attributes of a kind, made once.
type series struct {
	attributes []attribute.KeyValue
	full       metric.MeasurementOption
	brief      metric.MeasurementOption // without the rule
}

// Observe is for the Observe of [middleware.Config]. It counts the decision,
// and notes it on the span of the request, if there is one.
func (t *Telemetry) Observe(ctx context.Context, d middleware.Decision) {
	s := t.series(kindOf(&d))
	t.decisions.Add(ctx, 1, s.full)
	t.duration.Record(ctx, d.Took.Seconds(), s.brief)
	if d.Token != nil && !d.Token.VerifiedAt.IsZero() {
		t.age.Record(ctx, d.Age.Seconds(), s.brief)
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(s.attributes...)
	}
}

func kindOf(d *middleware.Decision) kind {
	k := kind{outcome: "refused", reason: d.Reason, rule: d.Rule}
	switch {
	case d.Allowed:
		k.outcome = "allowed"
	case d.Shadow:
		k.outcome = "shadow"
	}
	k.failed = d.Status() == http.StatusServiceUnavailable
	return k
}

func (t *Telemetry) series(k kind) *series {
	if s, ok := t.known.Load(k); ok {
		return s.(*series)
	}
	if t.kinds.Load() >= maxKinds {
		if k.rule = other; t.kinds.Load() >= 2*maxKinds {
			return newSeries(k)
		}
	}
	s, loaded := t.known.LoadOrStore(k, newSeries(k))
	if !loaded {
		t.kinds.Add(1)
	}
	return s.(*series)
}

func newSeries(k kind) *series {
	brief := []attribute.KeyValue{keyOutcome.String(k.outcome), keyReason.String(string(k.reason))}
	if k.failed {
		// The guard could not do its work, as opposed to having refused.
		brief = append(brief, semconv.ErrorTypeKey.String(string(k.reason)))
	}
	full := brief[:len(brief):len(brief)]
	if k.rule != "" {
		full = append(full, keyRule.String(k.rule))
	}
	return &series{
		attributes: full,
		full:       metric.WithAttributeSet(attribute.NewSet(full...)),
		brief:      metric.WithAttributeSet(attribute.NewSet(brief...)),
	}
}

// Close ends what the Watch methods began.
func (t *Telemetry) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, r := range t.ending {
		errs = append(errs, r.Unregister())
	}
	t.ending = nil
	return errors.Join(errs...)
}
