package otel_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	apitrace "go.opentelemetry.io/otel/trace"

	"github.com/sneckauth/sneck"
	adapter "github.com/sneckauth/sneck/adapter/otel"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// A lab collects what is told to OpenTelemetry.
type lab struct {
	*adapter.Telemetry
	reader *metric.ManualReader
	spans  *tracetest.SpanRecorder
	tracer apitrace.Tracer
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{reader: metric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	tracing := trace.NewTracerProvider(trace.WithSpanProcessor(l.spans))
	l.tracer = tracing.Tracer("test")
	var err error
	l.Telemetry, err = adapter.New(adapter.Config{
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(l.reader), metric.WithCardinalityLimit(0)),
		TracerProvider: tracing,
		Propagator:     propagation.TraceContext{},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func (l *lab) collect(t testing.TB) []metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, l.reader.Collect(context.Background(), &all))
	var list []metricdata.Metrics
	for _, scope := range all.ScopeMetrics {
		assert.Equal(t, "github.com/sneckauth/sneck/adapter/otel", scope.Scope.Name)
		assert.Contains(t, scope.Scope.SchemaURL, "https://opentelemetry.io/schemas/")
		list = append(list, scope.Metrics...)
	}
	return list
}

// counts returns the values of a counter by their attributes, written as
// "key=value,…".
func counts(t testing.TB, list []metricdata.Metrics, name string) map[string]int64 {
	t.Helper()
	out := make(map[string]int64)
	for _, m := range list {
		if m.Name != name {
			continue
		}
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			out[p.Attributes.Encoded(attribute.DefaultEncoder())] = p.Value
		}
	}
	return out
}

// A service is all of it: an authority, its client, a cache, a guard, a server
// with a span for each request.
type service struct {
	*httptest.Server
	authority *authtest.Server

	mu     sync.Mutex
	traces []string // as the authority was told
}

const rule = "GET /songs/{id}"

func newService(t testing.TB, l *lab) *service {
	t.Helper()
	s := &service{authority: authtest.NewServer(t)}
	s.authority.Intercept(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.traces = append(s.traces, r.Header.Get("Traceparent"))
		s.mu.Unlock()
		s.authority.Server.ServeHTTP(w, r)
	}))
	client, err := introspect.New(introspect.Config{
		Endpoint:   s.authority.URL + "/introspect",
		Credential: introspect.Basic(s.authority.ResourceServer.ID, s.authority.ResourceServer.Secret), WrapTransport: l.Transport,
	})
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	remembered, err := cache.New(cache.Config{Verifier: client, TTL: time.Minute})
	require.NoError(t, err)
	t.Cleanup(func() { remembered.Close() })
	guard, err := middleware.New(middleware.Config{Verifier: remembered, Audience: []string{authtest.Audience}, Observe: l.Observe})
	require.NoError(t, err)
	require.NoError(t, l.WatchIntrospection("api", client))
	require.NoError(t, l.WatchCache("api", remembered))

	mux := http.NewServeMux()
	mux.Handle(rule, guard.Require(scopes.All("read"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, sneck.FromContext(r.Context()).Subject)
	})))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := l.tracer.Start(r.Context(), "request", apitrace.WithSpanKind(apitrace.SpanKindServer))
		defer span.End()
		mux.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) get(t testing.TB, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/songs/secret-path", nil)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

func (s *service) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.traces)
}

// use has the service admit, refuse, and not find out.
func (s *service) use(t testing.TB) (tokens []string) {
	t.Helper()
	good := s.authority.Issue(t, sneck.Token{Subject: "secret-subject", Scopes: scopes.Set{"read"}})
	weak := s.authority.Issue(t, sneck.Token{Subject: "secret-subject", Scopes: scopes.Set{"write"}})
	unknown := s.authority.Issue(t, sneck.Token{})
	assert.Equal(t, http.StatusOK, s.get(t, good))
	assert.Equal(t, http.StatusOK, s.get(t, good))
	assert.Equal(t, http.StatusForbidden, s.get(t, weak))
	assert.Equal(t, http.StatusUnauthorized, s.get(t, ""))
	s.authority.Down()
	assert.Equal(t, http.StatusServiceUnavailable, s.get(t, unknown))
	s.authority.Up()
	return []string{good, weak, unknown}
}

func TestDecisionsAreCounted(t *testing.T) {
	l := newLab(t)
	newService(t, l).use(t)
	assert.Equal(t, map[string]int64{
		"sneck.decision.outcome=allowed,sneck.decision.reason=admitted,sneck.rule=" + rule:                           2,
		"sneck.decision.outcome=refused,sneck.decision.reason=scope,sneck.rule=" + rule:                              1,
		"sneck.decision.outcome=refused,sneck.decision.reason=no_token,sneck.rule=" + rule:                           1,
		"error.type=unavailable,sneck.decision.outcome=refused,sneck.decision.reason=unavailable,sneck.rule=" + rule: 1,
	}, counts(t, l.collect(t), "sneck.guard.decisions"))
}

// The question to the authority is part of the request that asks, though the
// cache asks for all; the second request asks nothing.
func TestTraceReachesTheAuthority(t *testing.T) {
	l := newLab(t)
	s := newService(t, l)
	token := s.authority.Issue(t, sneck.Token{Scopes: scopes.Set{"read"}})
	require.Equal(t, http.StatusOK, s.get(t, token))
	require.Equal(t, http.StatusOK, s.get(t, token))

	require.Eventually(t, func() bool { return len(l.spans.Ended()) == 3 }, 10*time.Second, time.Millisecond)
	var asked, first trace.ReadOnlySpan
	for _, span := range l.spans.Ended() {
		if span.SpanKind() == apitrace.SpanKindClient {
			asked = span
		}
	}
	require.NotNil(t, asked)
	for _, span := range l.spans.Ended() {
		if span.SpanContext().SpanID() == asked.Parent().SpanID() {
			first = span
		}
	}
	require.NotNil(t, first, "the question has no request")
	assert.Equal(t, "request", first.Name())
	assert.Equal(t, []string{
		"00-" + first.SpanContext().TraceID().String() + "-" + asked.SpanContext().SpanID().String() + "-01",
	}, s.told())
	assert.Equal(t, []attribute.KeyValue{
		attribute.String("sneck.decision.outcome", "allowed"), attribute.String("sneck.decision.reason", "admitted"),
		attribute.String("sneck.rule", rule),
	}, first.Attributes())

	host, port, _ := strings.Cut(strings.TrimPrefix(s.authority.URL, "http://"), ":")
	assert.Equal(t, "POST", asked.Name())
	assert.Equal(t, map[string]string{
		"http.request.method": "POST", "http.response.status_code": "200", "network.protocol.version": "1.1",
		"server.address": host, "server.port": port, "url.full": s.authority.URL + "/introspect",
	}, attributes(asked))
	assert.Equal(t, codes.Unset, asked.Status().Code)
}

func attributes(span trace.ReadOnlySpan) map[string]string {
	out := make(map[string]string)
	for _, a := range span.Attributes() {
		out[string(a.Key)] = a.Value.String()
	}
	return out
}

// Neither tokens and secrets nor who and what they are for get into telemetry.
func TestNothingSecretIsTold(t *testing.T) {
	l := newLab(t)
	s := newService(t, l)
	secrets := append(s.use(t), "secret-subject", "secret-path", s.authority.ResourceServer.Secret, "Basic ")
	told, err := json.Marshal(l.collect(t))
	require.NoError(t, err)
	for _, span := range l.spans.Ended() {
		stub, err := json.Marshal(tracetest.SpanStubFromReadOnlySpan(span).Attributes)
		require.NoError(t, err)
		told = append(told, stub...)
		told = append(told, span.Name()+span.Status().Description...)
		assert.Empty(t, span.Events())
	}
	for _, secret := range secrets {
		assert.NotContains(t, string(told), secret)
	}
}

// The tables of docs/observability.md name what is emitted, and nothing else.
func TestNamesAreThoseOfTheDocs(t *testing.T) {
	l := newLab(t)
	s := newService(t, l)
	s.use(t)
	old := middleware.Decision{Reason: middleware.ReasonStale, Token: &sneck.Token{VerifiedAt: time.Now()}, Age: time.Hour}
	l.Observe(t.Context(), old)

	got := make(map[string][4]string)
	for _, m := range l.collect(t) {
		kind, keys := describe(t, m)
		got[m.Name] = [4]string{kind, m.Unit, strings.Join(keys, " "), ""}
		assert.NotEmpty(t, m.Description, m.Name)
	}
	want := make(map[string][4]string)
	text, err := os.ReadFile("../../docs/observability.md")
	require.NoError(t, err)
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([a-z -]+) \\| `([^`]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(text), -1) {
		keys := regexp.MustCompile("[`,]").ReplaceAllString(row[4], "")
		sorted := strings.Fields(keys)
		slices.Sort(sorted)
		want[row[1]] = [4]string{row[2], row[3], strings.Join(sorted, " "), ""}
	}
	assert.Equal(t, want, got)
}

// describe returns the kind of a metric, and the keys of all its attributes.
func describe(t testing.TB, m metricdata.Metrics) (kind string, keys []string) {
	t.Helper()
	add := func(set attribute.Set) {
		for _, a := range set.ToSlice() {
			if !slices.Contains(keys, string(a.Key)) {
				keys = append(keys, string(a.Key))
			}
		}
	}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		kind = "counter"
		if !data.IsMonotonic {
			kind = "up-down counter"
		}
		for _, p := range data.DataPoints {
			add(p.Attributes)
		}
	case metricdata.Histogram[float64]:
		kind = "histogram"
		for _, p := range data.DataPoints {
			add(p.Attributes)
		}
	default:
		t.Fatalf("%s is a %T", m.Name, data)
	}
	slices.Sort(keys)
	return kind, keys
}
