package otel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Transport returns a transport that makes a client span of each request,
// measures it, and tells the server of the trace (W3C Trace Context, if that
// is the propagator). It is for the WrapTransport of an introspection client,
// and for the transport of the HTTP client that fetches keys.
//
// A request ends with the end of its answer's body. Neither the query of the
// URL nor header or body are noted, nor the text of errors, which may quote
// the server.
func (t *Telemetry) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{t, base}
}

type transport struct {
	telemetry *Telemetry
	base      http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	common := requestAttributes(r)
	ctx, span := t.telemetry.tracer.Start(r.Context(), spanName(common[0]), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(common...), trace.WithAttributes(semconv.URLFull(bare(r.URL))))
	e := &exchange{telemetry: t.telemetry, ctx: ctx, span: span, begun: begun, common: common}
	r = r.Clone(ctx)
	t.telemetry.propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
	response, err := t.base.RoundTrip(r)
	if err != nil {
		e.end(errorType(err))
		return response, err
	}
	e.answered(response)
	response.Body = &body{response.Body, e}
	return response, nil
}

// An exchange is a request on its way.
type exchange struct {
	telemetry *Telemetry
	ctx       context.Context
	span      trace.Span
	begun     time.Time
	common    []attribute.KeyValue
	failed    string // the error.type; empty for none
	once      sync.Once
}

func (e *exchange) answered(response *http.Response) {
	more := []attribute.KeyValue{semconv.HTTPResponseStatusCode(response.StatusCode)}
	if response.ProtoMajor > 0 {
		more = append(more, semconv.NetworkProtocolVersion(protocolVersion(response)))
	}
	e.common = append(e.common, more...)
	e.span.SetAttributes(more...)
	if response.StatusCode >= http.StatusBadRequest {
		e.failed = strconv.Itoa(response.StatusCode)
	}
}

// end ends the exchange, once. What failed before counts.
func (e *exchange) end(failed string) {
	e.once.Do(func() {
		if e.failed == "" {
			e.failed = failed
		}
		if e.failed != "" {
			kind := semconv.ErrorTypeKey.String(e.failed)
			e.common = append(e.common, kind)
			e.span.SetAttributes(kind)
			e.span.SetStatus(codes.Error, "")
		}
		e.span.End()
		e.telemetry.requests.Inst().Record(e.ctx, time.Since(e.begun).Seconds(),
			metric.WithAttributeSet(attribute.NewSet(e.common...)))
	})
}

// A body ends its exchange when it is read or closed.
type body struct {
	io.ReadCloser
	exchange *exchange
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.exchange.end("")
	case err != nil:
		b.exchange.end(errorType(err))
	}
	return n, err
}

func (b *body) Close() error {
	b.exchange.end("")
	return b.ReadCloser.Close()
}

// requestAttributes returns what is known of a request before it is sent, its
// method first.
func requestAttributes(r *http.Request) []attribute.KeyValue {
	port := r.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	}
	n, _ := strconv.Atoi(port)
	return []attribute.KeyValue{
		method(r.Method), semconv.ServerAddress(r.URL.Hostname()), semconv.ServerPort(n),
	}
}

func method(name string) attribute.KeyValue {
	switch name {
	case http.MethodGet, "":
		return semconv.HTTPRequestMethodGet
	case http.MethodPost:
		return semconv.HTTPRequestMethodPost
	}
	return semconv.HTTPRequestMethodOther // what nobody here sends
}

// spanName is the method, or "HTTP" for one that is not known.
func spanName(method attribute.KeyValue) string {
	if method == semconv.HTTPRequestMethodOther {
		return "HTTP"
	}
	return method.Value.AsString()
}

// bare returns the URL without what may be secret.
func bare(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

func protocolVersion(response *http.Response) string {
	if response.ProtoMajor >= 2 && response.ProtoMinor == 0 {
		return strconv.Itoa(response.ProtoMajor)
	}
	return strconv.Itoa(response.ProtoMajor) + "." + strconv.Itoa(response.ProtoMinor)
}

// errorType returns one of few words for an error.
func errorType(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return semconv.ErrorType(err).Value.AsString()
}
