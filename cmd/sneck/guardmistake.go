package main

import (
	"regexp"
	"strings"
)

// guardTerms are what the packages that a guard is made of call the settings
// in their errors, of which the first that fits counts.
var guardTerms = []struct{ term, key string }{
	{"introspect: Config.Endpoint", "resource_server_introspection_url"},
	{"introspect: Config.Failover", "resource_server_introspection_failover_urls"},
	{"introspect: Config.Issuer", "issuer"},
	{"introspect: Config.Rate", "resource_server_introspection_rate"},
	{"introspect: Config.Burst", "resource_server_introspection_burst"},
	{"introspect: TokenRequest.Endpoint", "resource_server_token_url"},
	{"introspect: PrivateKeyJWT", "issuer"},
	{"introspect: SignedAnswers", "resource_server_introspection_signed"},
	{"introspect: Bearer", "resource_server_auth_token"},
	{"introspect: MTLS", "resource_server_certificate_file"},
	{"jwt: key set", "jwks_url"},
	{"jwt: issuer", "issuer"},
	{"cache: StaleIfError", "stale_if_error_seconds"},
	{"cache: MaxBytes", "cache_max_bytes"},
	{"cache: Shared.Secret", "shared_secret_file"},
	{"redis: ReplayConfig.Secret", "shared_secret_file"},
	{"redis: Username", "redis_username"},
	{"redis: ", "redis_url"},
	{"middleware: Audience", "audience"},
	{"middleware: Realm", "realm"},
	{"middleware: RetryAfter", "retry_after_seconds"},
	{"middleware: DPoP.External", "dpop_external_url"},
	{"middleware: DPoP.NonceKey", "dpop_nonce_key_file"},
	{"middleware: DPoP is configured", "dpop"},
	{"middleware: MTLS.Header", "mtls_header"},
	{"middleware: MTLS is configured", "mtls"},
	{"middleware: Metadata.Resource", "metadata_resource"},
	{"middleware: Metadata.AuthorizationServers", "metadata_authorization_servers"},
	{"middleware: Metadata.Scopes", "metadata_scopes"},
	{"middleware: Metadata has the page", "metadata_documentation"},
}

// guardWords are the settings by which hints call for another one.
var guardWords = strings.NewReplacer(
	"and DangerouslyAnyAudience contradict each other", "contradicts dangerously_any_audience",
	"and MTLS.TrustedProxies need each other", "needs trusted_proxies",
	"Config.Endpoint", "resource_server_introspection_url", "Config.Issuer", "issuer", "the Issuer", "issuer",
	"Config.Credential", "resource_server_introspection_credentials", "Config.TLS.Certificates", "resource_server_certificate_file",
	"InsecureHTTP", "insecure_http", "DangerouslyAnyAudience", "dangerously_any_audience",
	"DPoP.Mode", "dpop", "MTLS.Mode", "mtls", "Audience", "audience",
)

var (
	packageName = regexp.MustCompile(`^[a-z]+: `)
	quotedValue = regexp.MustCompile(`^ "[^"]*":?`)
)

// locate says of each mistake in an error which setting it is about, which is
// otherwise if none is known.
func (b *guardBuilder) locate(err error, otherwise string) {
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		key, text := otherwise, packageName.ReplaceAllString(line, "")
		for _, t := range guardTerms {
			if rest, found := strings.CutPrefix(line, t.term); found {
				// What stands there need not be said again.
				key, text = t.key, strings.Trim(quotedValue.ReplaceAllString(rest, ""), ": ")
				break
			}
		}
		b.wrong(guardWords.Replace(text), key)
	}
}
