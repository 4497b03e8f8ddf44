package otel_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	adapter "github.com/sneckauth/sneck/adapter/otel"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
)

// A guard, its cache and its client, all of whose doings are told.
func ExampleNew() {
	telemetry, err := adapter.New(adapter.Config{}) // the global providers
	if err != nil {
		log.Fatal(err)
	}
	authority, err := introspect.New(introspect.Config{
		Endpoint:      "https://as.example/introspect",
		Credential:    introspect.Basic("songs", "secret"),
		WrapTransport: telemetry.Transport,
	})
	if err != nil {
		log.Fatal(err)
	}
	remembered, err := cache.New(cache.Config{Verifier: authority, TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	_, err = middleware.New(middleware.Config{
		Verifier: remembered,
		Audience: []string{"https://songs.example"},
		Observe:  telemetry.Observe,
	})
	err = errors.Join(err, telemetry.WatchIntrospection("songs", authority), telemetry.WatchCache("songs", remembered))
	if err != nil {
		log.Fatal(err)
	}
}

// What a decision becomes.
func ExampleTelemetry_Observe() {
	reader := metric.NewManualReader()
	telemetry, err := adapter.New(adapter.Config{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{
		Verifier: authtest.MapVerifier{"ann": {Subject: "ann", Audience: []string{"https://songs.example"}}},
		Audience: []string{"https://songs.example"},
		Observe:  telemetry.Observe,
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /songs", guard.Wrap(http.NotFoundHandler()))
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/songs", nil)) // without a token

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		log.Fatal(err)
	}
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
