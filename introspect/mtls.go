package introspect

import (
	"context"
	"errors"
)

// MTLS is the credential of a client that proves itself by its certificate
// (RFC 8705, section 2), which [Config.TLS] or [Config.Transport] presents;
// the form names the client. With tls.Config.GetClientCertificate the
// certificate can change while it is used.
func MTLS(clientID string) Credential { return mtls(clientID) }

type mtls string

func (id mtls) Sign(_ context.Context, r *Request) error {
	r.Form["client_id"] = []string{string(id)}
	return nil
}

func (id mtls) check(cfg *Config) error {
	var errs []error
	if id == "" {
		errs = append(errs, errors.New("introspect: MTLS: the client id is empty"))
	}
	if cfg.Transport == nil && (cfg.TLS == nil || len(cfg.TLS.Certificates) == 0 && cfg.TLS.GetClientCertificate == nil) {
		errs = append(errs, errors.New("introspect: MTLS: there is no client certificate (hint: Config.TLS.Certificates)"))
	}
	return errors.Join(errs...)
}
