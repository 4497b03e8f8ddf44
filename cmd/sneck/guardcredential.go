package main

import (
	"context"
	"crypto/tls"
	"net/url"

	"github.com/sneckauth/sneck/introspect"
)

// credentialKey is the key of the setting that proves who asks.
func (b *guardBuilder) credentialKey() string {
	switch {
	case b.AuthTokenFile != "":
		return "resource_server_auth_token_file"
	case b.AuthToken != "":
		return "resource_server_auth_token"
	}
	return "resource_server_introspection_credentials"
}

// credential returns what proves who asks.
func (b *guardBuilder) credential(config *tls.Config) introspect.Credential {
	standIn := introspect.Bearer("none")
	given := 0
	for _, there := range []bool{b.AuthToken != "", b.AuthTokenFile != "", b.Credentials != nil} {
		if there {
			given++
		}
	}
	key := b.credentialKey()
	switch {
	case given == 0:
		b.wrong("is missing (hint: [CLIENT-ID, SECRET-FILE], or resource_server_auth_token_file; an authority that answers anybody tells everybody about tokens)", key)
		return standIn
	case given > 1:
		b.wrong("contradicts the other credential (hint: one of resource_server_auth_token, resource_server_auth_token_file and resource_server_introspection_credentials)", key)
		return standIn
	case b.Credentials == nil && b.TokenURL != "":
		b.wrong("needs resource_server_introspection_credentials", "resource_server_token_url")
		return standIn
	case b.AuthTokenFile != "":
		return introspect.Rotating(b.file(b.AuthTokenFile), introspect.Bearer)
	case b.AuthToken != "":
		return introspect.Bearer(b.AuthToken)
	}
	if b.TokenURL == "" {
		b.useless("without resource_server_token_url", map[string]bool{
			"resource_server_token_scope": b.TokenScope != "", "resource_server_token_resource": b.TokenResource != "",
		})
		return b.proof()
	}
	parameters := url.Values{}
	if b.TokenResource != "" {
		parameters.Set("resource", b.TokenResource)
	}
	return introspect.ClientCredentials(introspect.TokenRequest{
		Parameters: parameters, Endpoint: b.TokenURL, Issuer: b.Issuer, Credential: b.proof(), Scope: b.TokenScope, TLS: config, InsecureHTTP: b.InsecureHTTP,
	})
}

// proof returns what the client of the settings is authenticated by.
func (b *guardBuilder) proof() introspect.Credential {
	const key = "resource_server_introspection_credentials"
	want, hint := 2, "[CLIENT-ID, SECRET-FILE]"
	switch b.AuthMethod {
	case methodKey:
		hint = "[CLIENT-ID, KEY-FILE]"
	case methodTLS:
		want, hint = 1, "[CLIENT-ID], and resource_server_certificate_file"
	}
	if len(b.Credentials) != want {
		b.wrong("is not what "+b.AuthMethod+" needs (hint: "+hint+")", key)
		return introspect.Bearer("none")
	}
	id := b.Credentials[0]
	with := introspect.Basic
	switch b.AuthMethod {
	case methodTLS:
		return introspect.MTLS(id)
	case methodKey:
		keys := introspect.KeyFile(b.Credentials[1])
		if !b.offline {
			_, err := keys(context.Background())
			b.locate(err, key)
		}
		return introspect.PrivateKeyJWT(introspect.Assertion{ClientID: id, Key: keys})
	case methodPost:
		with = introspect.Post
	case methodBasicRaw:
		with = introspect.BasicRaw
	}
	return introspect.Rotating(b.file(b.Credentials[1]), func(secret string) introspect.Credential { return with(id, secret) })
}
