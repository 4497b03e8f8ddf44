package middleware

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sneckauth/sneck/scopes"
)

// Metadata tells clients where to get tokens for this resource server (RFC
// 9728). What the server enforces is not asked for here: it is taken from the
// rest of the [Config].
type Metadata struct {
	// Resource is the identifier of the resource server: an https URL
	// without query and fragment, one of the Audience. http is for loopback
	// addresses only.
	Resource string
	// AuthorizationServers are the issuer identifiers of the authorization
	// servers that issue tokens for the resource. At least one.
	AuthorizationServers []string
	// Scopes are those worth asking for; they need not be all.
	Scopes scopes.Set
	// Name is the name of the resource server, for people.
	Name string
	// Documentation, Policy and Terms are URLs of pages for developers, of
	// how data may be used, and of the terms of service.
	Documentation, Policy, Terms string
}

// clone returns a copy that nobody else can change.
func (m *Metadata) clone() *Metadata {
	if m == nil {
		return nil
	}
	c := *m
	c.AuthorizationServers = slices.Clone(m.AuthorizationServers)
	c.Scopes = slices.Clone(m.Scopes)
	return &c
}

// wellKnown is inserted between host and path (RFC 9728, section 3.1).
const wellKnown = "/.well-known/oauth-protected-resource"

func (m *Metadata) check(c *Config, mistake func(format string, args ...any)) {
	u, err := url.Parse(m.Resource)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(m.Resource, "#") || !quotable(m.Resource):
		mistake("Metadata.Resource %q is not a URL without query and fragment", m.Resource)
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		mistake("Metadata.Resource %q is not an https URL", m.Resource)
	case !c.DangerouslyAnyAudience && !slices.Contains(c.Audience, m.Resource):
		mistake("Metadata.Resource %q is not in Audience (hint: clients will get tokens for it)", m.Resource)
	}
	if len(m.AuthorizationServers) == 0 {
		mistake("Metadata.AuthorizationServers is missing")
	}
	for _, issuer := range m.AuthorizationServers {
		if !absolute(issuer) {
			mistake("Metadata.AuthorizationServers has %q, which is not a URL", issuer)
		}
	}
	for _, page := range []string{m.Documentation, m.Policy, m.Terms} {
		if page != "" && !absolute(page) {
			mistake("Metadata has the page %q, which is not a URL", page)
		}
	}
	if _, err := scopes.Of(m.Scopes...); err != nil {
		mistake("Metadata.Scopes: %w", err)
	}
}

func absolute(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme != "" && u.Host != ""
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// path returns the path of the metadata.
func (m *Metadata) path() string {
	u, _ := url.Parse(m.Resource)
	return wellKnown + strings.TrimSuffix(u.EscapedPath(), "/")
}

// url returns the URL of the metadata.
func (m *Metadata) url() string {
	u, _ := url.Parse(m.Resource)
	return u.Scheme + "://" + u.Host + m.path()
}

// document returns the JSON document. Empty members are left out (RFC 9728,
// section 3.2).
func (m *Metadata) document(c *Config) []byte {
	methods := []string{"header"}
	if c.AllowFormBody && c.DPoP.Mode != Strict {
		methods = append(methods, "body")
	}
	if c.AllowQuery && c.DPoP.Mode != Strict {
		methods = append(methods, "query")
	}
	var algorithms []string
	if c.DPoP.Mode.on() {
		algorithms = c.DPoP.Algorithms
	}
	doc, _ := json.Marshal(struct { // strings and booleans always succeed
		Resource      string     `json:"resource"`
		Servers       []string   `json:"authorization_servers,omitempty"`
		Scopes        scopes.Set `json:"scopes_supported,omitempty"`
		Methods       []string   `json:"bearer_methods_supported,omitempty"`
		Name          string     `json:"resource_name,omitempty"`
		Documentation string     `json:"resource_documentation,omitempty"`
		Policy        string     `json:"resource_policy_uri,omitempty"`
		Terms         string     `json:"resource_tos_uri,omitempty"`
		Certificates  bool       `json:"tls_client_certificate_bound_access_tokens,omitempty"`
		Algorithms    []string   `json:"dpop_signing_alg_values_supported,omitempty"`
		DPoP          bool       `json:"dpop_bound_access_tokens_required,omitempty"`
	}{
		m.Resource, m.AuthorizationServers, m.Scopes, methods, m.Name, m.Documentation, m.Policy, m.Terms,
		c.MTLS.Mode.on(), algorithms, c.DPoP.Mode == Strict,
	})
	return append(doc, '\n')
}

// Metadata returns a handler that serves the metadata of the [Config] to
// anyone, scripts of other origins included. Mount it at "/.well-known/": it
// answers where the RFC puts the metadata of the resource, and where it puts
// that of the whole host, and nowhere else. Without metadata in the Config it
// answers nowhere.
func (g *Guard) Metadata() http.Handler {
	m := g.config.Metadata
	if m == nil {
		return http.NotFoundHandler()
	}
	document, path := m.document(&g.config), m.path()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.EscapedPath(); p != path && p != wellKnown {
			http.NotFound(w, r)
			return
		}
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			header.Set("Content-Type", "application/json")
			header.Set("Cache-Control", "public, max-age=3600")
			if r.Method == http.MethodGet {
				w.Write(document)
			}
		case http.MethodOptions:
			header.Set("Access-Control-Allow-Methods", "GET, HEAD")
			header.Set("Access-Control-Allow-Headers", "*")
			header.Set("Access-Control-Max-Age", "3600")
			w.WriteHeader(http.StatusNoContent)
		default:
			header.Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}
