package proxy

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/sneckauth/sneck/middleware"
)

// A ForwardAuth answers a proxy that asks whether a request may pass: with 200
// and who calls in header fields, or with the refusal for the client. What it
// can not be sure of it refuses. It is safe for concurrent use.
type ForwardAuth struct {
	// Guard writes refusals, and Rules decides.
	Guard *middleware.Guard
	Rules interface {
		Check(*http.Request) middleware.Decision
	}
	// Convention is how the proxy says what was asked for.
	Convention Convention
	// Trusted are the addresses of the proxies. Nobody else gets an answer.
	Trusted []netip.Prefix
	// ForwardToken leaves the token in the request. If it is false, Envoy is
	// told to remove it; other proxies have to be configured so.
	ForwardToken bool
	// Logger is told of questions that are none; nil is silent.
	Logger *slog.Logger
}

var (
	notTrusted    = failure{http.StatusForbidden, "untrusted_peer", "Only configured proxies may ask"}
	misconfigured = failure{http.StatusInternalServerError, "misconfigured_proxy", "The proxy does not say what was asked for"}
	unclear       = failure{http.StatusBadRequest, "invalid_request", "The request is malformed, so what it needs is not known"}
	spoofed       = failure{http.StatusBadRequest, "invalid_request", "The request has header fields that only the guard may set"}
	nothing       = failure{http.StatusNotFound, "not_found", "There is nothing here"}
)

// ServeHTTP answers one question.
func (f *ForwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !trusts(f.Trusted, r.RemoteAddr) {
		f.fail(w, r, notTrusted, errors.New("the peer is none of the trusted proxies"))
		return
	}
	original, err := f.Convention.original(r)
	var odd *ambiguous
	switch {
	case errors.Is(err, errAddress):
		f.fail(w, r, nothing, err)
		return
	case errors.As(err, &odd):
		f.fail(w, r, unclear, err)
		return
	case err != nil:
		f.fail(w, r, misconfigured, err)
		return
	}
	if rec := recordOf(r.Context()); rec != nil {
		rec.about = original
	}
	// A proxy may leave such fields in the request when it lets it pass. Those with
	// another path it may have set itself.
	for name := range r.Header {
		switch {
		case resembles(name, Prefix):
			f.fail(w, r, spoofed, errors.New("the client claims an identity"))
			return
		case slices.ContainsFunc(otherMethods, func(prefix string) bool { return resembles(name, prefix) }):
			f.fail(w, r, unclear, errors.New("the client claims another method, in the field "+name))
			return
		}
	}
	f.decide(w, original)
}

func (f *ForwardAuth) decide(w http.ResponseWriter, original *http.Request) {
	d := f.Rules.Check(original)
	if !d.Allowed && !d.Shadow {
		f.Guard.Refuse(w, original, d)
		return
	}
	header := w.Header()
	header["Cache-Control"] = []string{"no-store"}
	if d.Allowed { // in shadow a token is not known to be good
		f.Guard.Admit(w, original, d)
		setIdentity(header, d.Token)
	}
	if f.Convention == Path {
		header["X-Envoy-Auth-Headers-To-Remove"] = []string{f.remove(header)}
	}
	w.WriteHeader(http.StatusOK)
}

// remove returns the fields that Envoy is to remove from the request.
func (f *ForwardAuth) remove(set http.Header) string {
	var names []string
	for _, field := range identity {
		if set[field.name] == nil {
			names = append(names, strings.ToLower(field.name))
		}
	}
	if !f.ForwardToken {
		names = append(names, "authorization", "dpop")
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

func (f *ForwardAuth) fail(w http.ResponseWriter, r *http.Request, out failure, err error) {
	if rec := recordOf(r.Context()); rec != nil {
		rec.failed = out.code
	}
	if f.Logger != nil {
		f.Logger.LogAttrs(r.Context(), slog.LevelWarn, "question of a proxy not answered",
			slog.String("peer", r.RemoteAddr), slog.Int("status", out.status), slog.String("cause", err.Error()))
	}
	out.write(w)
}
