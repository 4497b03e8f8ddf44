package admin

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
)

// Path is where an [API] answers.
const Path = "/admin/api/v1/"

// An API answers HTTP requests below [Path]: see docs/admin.md, and the OpenAPI
// document at "openapi.json" there. Make it with [NewAPI]. It is safe for
// concurrent use.
//
// Whoever asks needs a bearer token of the server itself, as RFC 6750 has it:
// with authserver.AdminScope, meant for the server's issuer alone, not bound
// to a key, and of a client that may still have the scope. If it acts for a
// person, that one's account must be an administrator's. Those that fail are
// limited for each address, by the server's Limits.Failures. Cookies mean nothing,
// and other origins get no permission, so a browser can not be made to ask.
//
// It belongs on a listener of its own, that not everybody reaches.
type API struct {
	ops *Operations
	log *slog.Logger
	mux *http.ServeMux
}

// NewAPI returns an API. The log gets refusals and the causes of failures; nil
// is silent.
func NewAPI(ops *Operations, log *slog.Logger) *API {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := &API{ops: ops, log: log, mux: http.NewServeMux()}
	for _, r := range routes() {
		a.mux.HandleFunc(r.method+" "+Path+r.path, func(w http.ResponseWriter, req *http.Request) { a.answer(w, req, r) })
	}
	a.mux.HandleFunc("/", a.unknown)
	return a
}

//go:embed openapi.json
var document []byte

const documentPath = Path + "openapi.json"

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	// The document says nothing of this server that its source does not.
	if r.URL.Path == documentPath && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
		_, _ = w.Write(document)
		return
	}
	by, err := a.authorize(r)
	if err != nil {
		a.refuse(w, r, a.limit(r, err), nil)
		return
	}
	a.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), byKey{}, by)))
}

// byKey is the key of who asks, in the context of a request.
type byKey struct{}

// authorize returns who asks, if they may.
func (a *API) authorize(r *http.Request) (by string, err error) {
	token, err := bearer(r.Header.Values("Authorization"))
	if err != nil {
		return "", err
	}
	ctx, config := r.Context(), a.ops.config
	t, err := config.Server.Verify(ctx, token)
	switch {
	case errors.Is(err, sneck.ErrInvalid), errors.Is(err, sneck.ErrUnrecognized):
		return "", invalidToken("the token is not known, has expired or was revoked (hint: get a new one)")
	case err != nil:
		return "", err
	case !slices.Equal(t.Audience, []string{config.Server.Issuer()}):
		// Whoever else it was shown to could come with it.
		return "", invalidToken("the token is not meant for this server alone (hint: ask for its issuer as the only resource)")
	case t.Confirmation != nil:
		return "", invalidToken("the token is bound to a key, which can not be proved here (hint: get one without)")
	}
	client, err := config.Clients.Client(ctx, t.ClientID)
	switch {
	case errors.Is(err, authserver.ErrNotFound):
		return "", invalidToken("the client of the token is gone (hint: get one as another client)")
	case err != nil:
		return "", err
	case !t.Scopes.Has(authserver.AdminScope):
		return "", insufficientScope("the token does not have the scope " + authserver.AdminScope + " (hint: ask for it by name)")
	case !client.Scopes.Has(authserver.AdminScope):
		return "", insufficientScope("the client may not have the scope any more (hint: ask an administrator)")
	}
	own, err := a.own(ctx, token)
	switch {
	case own || err != nil:
		return t.Subject, err
	case config.Accounts == nil:
		return "", insufficientScope("the server has no accounts, so nobody's is an administrator's (hint: a client's own token)")
	}
	admin, err := config.Accounts.Admin(ctx, t.Subject)
	if err == nil && !admin {
		err = insufficientScope("the account of the token is not an administrator's (hint: sneck user admin add NAME)")
	}
	return t.Subject, err
}

// own reports whether a token is that of a client which acts for itself. That
// its subject is the client does not say so: a grant of the application's own
// may know somebody by that name. But what is for a person has a family.
func (a *API) own(ctx context.Context, token string) (bool, error) {
	record, err := a.ops.config.Store.Get(ctx, authserver.KeyOf(token))
	if errors.Is(err, authserver.ErrNotFound) {
		return false, invalidToken("the token is not known, has expired or was revoked (hint: get a new one)")
	}
	return record.Family == "" && record.Subject == record.Client, err
}

// limit counts a request that was refused with 401, and returns the error to be
// answered. A token that is right is accepted however many wrong ones there were.
func (a *API) limit(r *http.Request, err error) error {
	var p *problem
	if !errors.As(err, &p) || p.Status != http.StatusUnauthorized {
		return err
	}
	wait := a.ops.config.Server.Failed(r)
	if wait <= 0 {
		return err
	}
	return &problem{
		Status: http.StatusTooManyRequests, Detail: "too many requests from this address had no valid token (hint: wait as long as Retry-After says)",
		retryAfter: wait,
	}
}

// bearer returns the token of a request (RFC 6750, section 2.1).
func bearer(fields []string) (string, error) {
	switch len(fields) {
	case 0:
		// A request without a token is told no error code (section 3.1).
		return "", &problem{Status: http.StatusUnauthorized, Detail: "there is no token (hint: Authorization: Bearer …)", challenge: challenge("")}
	case 1:
	default:
		return "", &problem{Status: http.StatusBadRequest, Detail: "there is more than one Authorization header (hint: send one)", challenge: challenge("invalid_request")}
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	token = strings.Trim(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", &problem{Status: http.StatusUnauthorized, Detail: "the authentication scheme is not understood here (hint: Authorization: Bearer …)", challenge: challenge("")}
	}
	return token, nil
}

// challenge returns the value of a WWW-Authenticate header (RFC 6750, section 3).
func challenge(code string) string {
	text := `Bearer realm="sneck admin", scope="` + authserver.AdminScope + `"`
	if code != "" {
		text += `, error="` + code + `"`
	}
	return text
}

func invalidToken(detail string) error {
	return &problem{Status: http.StatusUnauthorized, Detail: detail, challenge: challenge("invalid_token")}
}

func insufficientScope(detail string) error {
	return &problem{Status: http.StatusForbidden, Detail: detail, challenge: challenge("insufficient_scope")}
}

// unknown answers where there is nothing, or not for the method.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut} {
		probe := *r
		probe.Method = method
		if _, pattern := a.mux.Handler(&probe); strings.Contains(pattern, " ") {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		a.refuse(w, r, &problem{Status: http.StatusNotFound, Detail: "there is nothing at this path (hint: " + documentPath + ")"}, nil)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	a.refuse(w, r, &problem{Status: http.StatusMethodNotAllowed, Detail: "the method is not allowed here (hint: " + strings.Join(allowed, ", ") + ")"}, nil)
}
