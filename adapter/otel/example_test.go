package otel_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	sneckotel "github.com/sneckauth/sneck/adapter/otel"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
)

// A guard, its cache and its client, all of whose doings are told.
func ExampleNew() {
	telemetry, err := sneckotel.New(sneckotel.Config{}) // the global providers
	check(err)
	authority, err := introspect.New(introspect.Config{
		Endpoint:      "https://as.example/introspect",
		Credential:    introspect.Basic("songs", "secret"),
		WrapTransport: telemetry.Transport,
	})
	check(err)
	remembered, err := cache.New(cache.Config{Verifier: authority, TTL: time.Minute})
	check(err)
	guard, err := middleware.New(middleware.Config{
		Verifier: remembered,
		Audience: []string{"https://songs.example"},
		Observe:  telemetry.Observe,
	})
	check(err)
	check(telemetry.WatchIntrospection("songs", authority))
	check(telemetry.WatchCache("songs", remembered))
	http.Handle("GET /songs", guard.Wrap(http.NotFoundHandler()))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// What a decision becomes.
func ExampleTelemetry_Observe() {
	reader := metric.NewManualReader()
	telemetry, err := sneckotel.New(sneckotel.Config{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	check(err)
	guard, err := middleware.New(middleware.Config{
		Verifier: authtest.MapVerifier{"ann": {Subject: "ann", Audience: []string{"https://songs.example"}}},
		Audience: []string{"https://songs.example"},
		Observe:  telemetry.Observe,
	})
	check(err)
	mux := http.NewServeMux()
	mux.Handle("GET /songs", guard.Wrap(http.NotFoundHandler()))
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/songs", nil)) // without a token

	var all metricdata.ResourceMetrics
	check(reader.Collect(context.Background(), &all))
	for _, m := range all.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, p := range sum.DataPoints {
				fmt.Println(m.Name, p.Value)
				for _, a := range p.Attributes.ToSlice() {
					fmt.Println(" ", a.Key, "=", a.Value.AsString())
				}
			}
		}
	}
	// Output:
	// sneck.guard.decisions 1
	//   sneck.decision.outcome = refused
	//   sneck.decision.reason = no_token
	//   sneck.rule = GET /songs
}
