// Package otel tells OpenTelemetry what guards decide, what caches remember,
// and what is asked of authorities: metrics and spans by the semantic
// conventions.
//
//	telemetry, err := otel.New(otel.Config{})
//	…
//	authority, err := introspect.New(introspect.Config{…, WrapTransport: telemetry.Transport})
//	remembered, err := cache.New(cache.Config{Verifier: authority, …})
//	guard, err := middleware.New(middleware.Config{Verifier: remembered, …, Observe: telemetry.Observe})
//	err = errors.Join(
//		telemetry.WatchIntrospection("songs", authority),
//		telemetry.WatchCache("songs", remembered))
//
// All names are in docs/observability.md of the project. The values of
// attributes come from the program and not from clients: there is neither
// token nor subject, client or path among them, so the number of time series
// is bounded.
package otel
