package otel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/sneckauth/sneck"
	adapter "github.com/sneckauth/sneck/adapter/otel"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
)

func TestDurations(t *testing.T) {
	l := newLab(t)
	seconds := func(name string) map[string]float64 {
		out := make(map[string]float64)
		for _, m := range l.collect(t) {
			if data, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == name {
				for _, p := range data.DataPoints {
					out[p.Attributes.Encoded(attribute.DefaultEncoder())] += p.Sum
				}
			}
		}
		return out
	}
	admitted := middleware.Decision{Allowed: true, Reason: middleware.ReasonAdmitted, Rule: "a", Took: 250 * time.Millisecond, Age: 30 * time.Second}
	l.Observe(t.Context(), admitted) // without a token there is no age
	admitted.Token = &sneck.Token{}
	l.Observe(t.Context(), admitted) // nor with one of unknown age
	admitted.Token, admitted.Rule = &sneck.Token{VerifiedAt: time.Now()}, "b"
	l.Observe(t.Context(), admitted)
	l.Observe(t.Context(), middleware.Decision{Reason: middleware.ReasonScope, Shadow: true, Took: time.Second})
	const passed = "sneck.decision.outcome=allowed,sneck.decision.reason=admitted"
	assert.Equal(t, map[string]float64{passed: 30}, seconds("sneck.guard.verdict.age"))
	assert.Equal(t, map[string]float64{
		passed: 0.75, "sneck.decision.outcome=shadow,sneck.decision.reason=scope": 1,
	}, seconds("sneck.guard.decision.duration"))
}

// Whatever a program calls its rules, the number of series is bounded.
func TestRulesAreBounded(t *testing.T) {
	l := newLab(t)
	const requests = 20_000
	for i := range requests {
		l.Observe(t.Context(), middleware.Decision{Allowed: true, Reason: middleware.ReasonAdmitted, Rule: fmt.Sprint("/songs/", i)})
	}
	got := counts(t, l.collect(t), "sneck.guard.decisions")
	assert.Len(t, got, 4097)
	assert.EqualValues(t, requests-4096, got["sneck.decision.outcome=allowed,sneck.decision.reason=admitted,sneck.rule=_OTHER"])
}

type fixed[S any] struct{ stats S }

func (f fixed[S]) Stats() S { return f.stats }

// numbered returns statistics that have another number in every field, and all
// the numbers.
func numbered[S any]() (S, []int64) {
	var stats S
	var all []int64
	v := reflect.ValueOf(&stats).Elem()
	for i := range v.NumField() {
		n := int64(100 + i)
		switch f := v.Field(i); f.Kind() {
		case reflect.Uint64:
			f.SetUint(uint64(n))
		case reflect.Int64:
			f.SetInt(n)
		case reflect.Bool:
			f.SetBool(true)
			n = 1
		}
		all = append(all, n)
	}
	return stats, all
}

// Every counter that caches and clients have is collected, once for each of
// them, until the end.
func TestWatch(t *testing.T) {
	l := newLab(t)
	remembered, wantCache := numbered[cache.Stats]()
	asked, wantIntrospection := numbered[introspect.Stats]()
	for _, name := range []string{"one", "two"} {
		require.NoError(t, l.WatchCache(name, fixed[cache.Stats]{remembered}))
		require.NoError(t, l.WatchIntrospection(name, fixed[introspect.Stats]{asked}))
	}
	for prefix, want := range map[string][]int64{"sneck.cache": wantCache, "sneck.introspection": wantIntrospection} {
		for _, name := range []string{"one", "two"} {
			var got []int64
			list := l.collect(t)
			for _, m := range list {
				for attributes, n := range counts(t, list, m.Name) {
					if strings.HasPrefix(m.Name, prefix+".") && strings.Contains(attributes, prefix+".name="+name) {
						got = append(got, n)
					}
				}
			}
			assert.ElementsMatch(t, want, got)
		}
	}
	require.NoError(t, l.Close())
	assert.Empty(t, l.collect(t))
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type slow struct{}

func (slow) Error() string { return "secret text" }
func (slow) Timeout() bool { return true }

// What becomes of a request is on its span and its measurement, and neither
// the request nor its URL's secrets are touched.
func TestTransport(t *testing.T) {
	answer := func(status int, body io.Reader) roundTripper {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, ProtoMajor: 2, Body: io.NopCloser(body)}, nil
		}
	}
	for name, test := range map[string]struct {
		base   roundTripper
		status string
		failed string
	}{
		"answered":     {answer(200, strings.NewReader("ok")), "200", ""},
		"refused":      {answer(503, strings.NewReader("")), "503", "503"},
		"broken":       {answer(200, io.MultiReader(strings.NewReader("o"), broken{})), "200", "*errors.errorString"},
		"late":         {answer(200, lost{}), "200", "timeout"},
		"no answer":    {func(*http.Request) (*http.Response, error) { return nil, slow{} }, "", "timeout"},
		"no transport": {func(*http.Request) (*http.Response, error) { return nil, errors.New("secret text") }, "", "*errors.errorString"},
		"withdrawn":    {func(r *http.Request) (*http.Response, error) { return nil, errCanceled() }, "", "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://user:secret@as.example/keys?secret=1", nil)
			require.NoError(t, err)
			var sent *http.Request
			resp, err := l.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
				sent = r
				return test.base(r)
			})).RoundTrip(r)
			if err == nil {
				assert.Empty(t, l.spans.Ended(), "the answer is not read")
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				resp.Body.Close()
			}
			assert.Empty(t, r.Header)
			assert.NotEmpty(t, sent.Header.Get("Traceparent"))

			want := map[string]string{"http.request.method": "GET", "server.address": "as.example", "server.port": "443"}
			for key, value := range map[string]string{"http.response.status_code": test.status, "error.type": test.failed} {
				if value != "" {
					want[key] = value
				}
			}
			if test.status != "" {
				want["network.protocol.version"] = "2"
			}
			measured := make(map[string]string)
			list := l.collect(t)
			require.Len(t, list, 1)
			points := list[0].Data.(metricdata.Histogram[float64]).DataPoints
			require.Len(t, points, 1)
			assert.EqualValues(t, 1, points[0].Count)
			for _, a := range points[0].Attributes.ToSlice() {
				measured[string(a.Key)] = a.Value.String()
			}
			assert.Equal(t, want, measured)

			want["url.full"] = "https://as.example/keys"
			require.Len(t, l.spans.Ended(), 1)
			span := l.spans.Ended()[0]
			assert.Equal(t, want, attributes(span))
			assert.Equal(t, "GET", span.Name())
			assert.Empty(t, span.Status().Description)
			assert.Equal(t, test.failed != "", span.Status().Code == codes.Error)
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("secret text") }

type lost struct{}

func (lost) Read([]byte) (int, error) { return 0, slow{} }

// Without a config, telemetry goes where the program's other goes, here
// nowhere.
func TestGlobalProviders(t *testing.T) {
	telemetry, err := adapter.New(adapter.Config{})
	require.NoError(t, err)
	telemetry.Observe(t.Context(), middleware.Decision{})
	require.NoError(t, telemetry.WatchCache("one", fixed[cache.Stats]{}))
	require.NoError(t, telemetry.Close())
}

func BenchmarkObserve(b *testing.B) {
	l := newLab(b)
	d := middleware.Decision{Allowed: true, Reason: middleware.ReasonAdmitted, Rule: "GET /songs", Took: time.Microsecond,
		Token: &sneck.Token{VerifiedAt: time.Now()}, Age: time.Second}
	b.ReportAllocs()
	for b.Loop() {
		l.Observe(b.Context(), d)
	}
}

func errCanceled() error { return fmt.Errorf("secret text: %w", context.Canceled) }
