package authserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/sneckauth/sneck/internal/dpop"
	"github.com/sneckauth/sneck/scopes"
)

// The metadata says what the server does, no more and no less (RFC 8414,
// section 2).
type metadata struct {
	Issuer                string     `json:"issuer"`
	TokenEndpoint         string     `json:"token_endpoint"`
	TokenAuthMethods      []string   `json:"token_endpoint_auth_methods_supported"`
	TokenAlgorithms       []string   `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionEndpoint string     `json:"introspection_endpoint"`
	IntrospectionMethods  []string   `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgs     []string   `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	AnswerAlgorithms      []string   `json:"introspection_signing_alg_values_supported,omitempty"`
	RevocationEndpoint    string     `json:"revocation_endpoint"`
	RevocationMethods     []string   `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgorithms  []string   `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	KeysURI               string     `json:"jwks_uri,omitempty"`
	Grants                []string   `json:"grant_types_supported"`
	Scopes                scopes.Set `json:"scopes_supported,omitempty"`
	AuthorizationEndpoint string     `json:"authorization_endpoint,omitempty"`
	DeviceEndpoint        string     `json:"device_authorization_endpoint,omitempty"`
	ResponseModes         []string   `json:"response_modes_supported,omitempty"`
	ChallengeMethods      []string   `json:"code_challenge_methods_supported,omitempty"`
	ProofAlgorithms       []string   `json:"dpop_signing_alg_values_supported"`
	CertificateBound      bool       `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	TLSEndpoints          *endpoints `json:"mtls_endpoint_aliases,omitempty"`
	ResponseIssuer        bool       `json:"authorization_response_iss_parameter_supported,omitempty"`
	// ResponseTypes is empty where there is no authorization endpoint that
	// could answer with one. RFC 8414 requires the member in section 2 and
	// wants empty lists left out in section 3.2. Clients fail if it is
	// missing, and none fails for want of a type it does not use.
	ResponseTypes []string `json:"response_types_supported"`
}

// endpoints are those that clients authenticate at.
type endpoints struct {
	Token         string `json:"token_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Device        string `json:"device_authorization_endpoint,omitempty"`
}

// authMethods returns the ways in which clients can authenticate, and the
// algorithms of those who sign.
func (s *Server) authMethods() (methods, algorithms []string) {
	methods = []string{methodBasic, methodPost, methodPrivateKeyJWT}
	algorithms = slices.Clone(assertionAlgorithms)
	if s.config.Sealer != nil {
		methods = append(methods, methodSecretJWT)
		algorithms = append(algorithms, algHS256)
	}
	if m := s.config.MutualTLS; m != nil {
		methods = append(methods, methodSelfSignedTLS)
		if m.Roots != nil {
			methods = append(methods, methodTLS)
		}
	}
	return methods, algorithms
}

// describeAuthorization fills in what is about the authorization endpoint.
func (s *Server) describeAuthorization(m *metadata) {
	code, implicit := s.grantsType(GrantAuthorizationCode), s.grantsType(GrantImplicit)
	if !code && !implicit {
		return
	}
	m.AuthorizationEndpoint, m.ResponseIssuer = s.config.Issuer+pathAuthorize, true
	if code {
		m.ResponseTypes, m.ResponseModes = append(m.ResponseTypes, "code"), append(m.ResponseModes, "query")
		m.ChallengeMethods = []string{pkceS256}
		if s.config.InsecureAllowPlainPKCE {
			m.ChallengeMethods = append(m.ChallengeMethods, pkcePlain)
		}
	}
	if implicit {
		m.ResponseTypes, m.ResponseModes = append(m.ResponseTypes, "token"), append(m.ResponseModes, "fragment")
	}
}

func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	all, err := s.allScopes(r.Context())
	if err != nil {
		s.refuse(w, r, nil, unavailable(err))
		return
	}
	secretMethods, algorithms := s.authMethods()
	tokenMethods := secretMethods
	for _, g := range s.grants {
		if g.Public {
			tokenMethods = append(secretMethods[:len(secretMethods):len(secretMethods)], methodNone)
		}
	}
	m := metadata{
		Issuer:                s.config.Issuer,
		TokenEndpoint:         s.config.Issuer + pathToken,
		TokenAuthMethods:      tokenMethods,
		TokenAlgorithms:       algorithms,
		IntrospectionEndpoint: s.config.Issuer + pathIntrospect,
		IntrospectionMethods:  secretMethods,
		IntrospectionAlgs:     algorithms,
		RevocationEndpoint:    s.config.Issuer + pathRevoke,
		RevocationMethods:     tokenMethods,
		RevocationAlgorithms:  algorithms,
		ProofAlgorithms:       dpop.Algorithms,
		Grants:                slices.Sorted(maps.Keys(s.grants)),
		Scopes:                all,
		ResponseTypes:         []string{},
	}
	if all.Has(IntrospectionScope) {
		m.IntrospectionMethods = append(secretMethods[:len(secretMethods):len(secretMethods)], typeBearer)
	}
	if s.config.Keys != nil {
		keys, err := s.config.Keys.KeySet(r.Context())
		if err != nil {
			s.refuse(w, r, nil, unavailable(fmt.Errorf("get the signing keys: %w", err)))
			return
		}
		m.KeysURI, m.AnswerAlgorithms = s.config.Issuer+pathKeys, []string{keys.algorithm}
	}
	if s.grantsType(GrantDeviceCode) {
		m.DeviceEndpoint = s.config.Issuer + pathDeviceAuthorization
	}
	if tls := s.config.MutualTLS; tls != nil {
		m.CertificateBound = true
		if base := tls.Endpoints; base != "" {
			m.TLSEndpoints = &endpoints{base + pathToken, base + pathIntrospect, base + pathRevoke, ""}
			if m.DeviceEndpoint != "" {
				m.TLSEndpoints.Device = base + pathDeviceAuthorization
			}
		}
	}
	s.describeAuthorization(&m)
	data, err := json.Marshal(m)
	if err != nil {
		s.refuse(w, r, nil, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(data)
}
