package main

import (
	"errors"
	"io/fs"
	"time"

	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/authserver"
)

// A serverSettings is all that can be set of "sneck serve": the one definition
// of the keys in a file, the variables, the flags, their help and docs/settings.md.
// The tag "go" names the field of authserver.Config, or of what it holds.
type serverSettings struct {
	reachSettings   `group:"Server"`
	adminSettings   `group:"Administration"`
	recordSettings  `group:"Records"`
	tokenSettings   `group:"Tokens"`
	refreshSettings `group:"Refresh tokens"`
	scopeSettings   `group:"Scopes"`
	clientSettings  `group:"Clients"`
	bindingSettings `group:"Bound tokens"`
	keySettings     `group:"Signing keys"`
	limitSettings   `group:"Limits"`
	sweepSettings   `group:"Clean-up"`
	pageSettings    `group:"Pages"`

	elsewhere bool                    // they are for another machine, which has the files with keys
	hasher    authserver.SecretHasher // of passwords, from PasswordPeppersFile; nil is that of accounts
}

// gone reports whether an error is that of a file which is on another machine.
func (s *serverSettings) gone(err error) bool {
	return s.elsewhere && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission))
}

// A reachSettings says where a server is.
type reachSettings struct {
	Data           string   `yaml:"data" placeholder:"DIR|URL" doc:"directory of the database, which is made if there is none, or URL of a PostgreSQL" go:"Store" example:"/var/lib/sneck"`
	Listen         string   `yaml:"listen" placeholder:"ADDR" doc:"address to listen at; port 0 is any free one" example:"127.0.0.1:8080"`
	Issuer         string   `yaml:"issuer" placeholder:"URL" doc:"URL under which clients reach the server; http and the address if that is of this machine only" go:"Issuer" example:"https://auth.example.com"`
	TrustedProxies []string `yaml:"trusted_proxies" flag:"trusted-proxy" env:"SNECK_TRUSTED_PROXY" placeholder:"PREFIX" doc:"addresses of the proxies in front, such as 10.0.0.0/8, whose header says who asks" go:"Proxies.Trusted"`
	ProxyHeader    string   `yaml:"trusted_proxy_header" enum:"X-Forwarded-For,Forwarded" doc:"where these proxies say it" go:"Proxies.Header"`
	Decoder        string   `yaml:"request_decoder" also:"oauth2_backend_class" enum:"form,json" doc:"how requests are read: form as the standards say, json takes JSON besides" go:"Decoder"`
}

// A recordSettings says what is written down.
type recordSettings struct {
	LogJSON       bool   `yaml:"log_json" doc:"log JSON objects"`
	Audit         string `yaml:"audit" placeholder:"FILE" doc:"audit log to add to; it is made if there is none" go:"Audit"`
	AuditRequired bool   `yaml:"audit_required" doc:"refuse what can not be recorded, such as when the disk is full" go:"AuditRequired"`
	AuditAsked    bool   `yaml:"audit_introspections" doc:"record introspections, too" go:"ObserveIntrospections"`
}

// A tokenSettings says what is issued, and how.
type tokenSettings struct {
	Life            time.Duration `yaml:"access_token_expire_seconds" min:"1" doc:"life of access tokens, unless the client's record has another" go:"AccessTokenTTL"`
	Format          string        `yaml:"access_token_format" enum:"opaque,jwt" doc:"form of access tokens, unless the client's record has another; JWTs need a signing key" go:"AccessTokenFormat"`
	Generator       generator     `yaml:"access_token_generator" placeholder:"NAME" doc:"how opaque access tokens are made up: checksummed has 256 random bits, a prefix and a checksum; base62-N and hex-N have N random characters" go:"AccessToken"`
	Audience        []string      `yaml:"audience" placeholder:"AUD" doc:"who the tokens of clients are meant for that have no audience of their own" go:"Audience"`
	Grants          []string      `yaml:"grants" also:"oauth2_server_class" placeholder:"GRANT" enum:"client_credentials,authorization_code,device_code,refresh_token,legacy_implicit,legacy_password" doc:"ways to get tokens: client_credentials, authorization_code, device_code, refresh_token, legacy_implicit, legacy_password; all but these two unless some are named" go:"Grants"`
	CodeLife        time.Duration `yaml:"authorization_code_expire_seconds" min:"1" doc:"life of authorization codes, 600 at most" go:"AuthorizationCodeTTL"`
	DeviceLife      time.Duration `yaml:"device_code_expire_seconds" min:"1" doc:"time to connect a device, 3600 at most" go:"DeviceCodeTTL"`
	PKCE            bool          `yaml:"pkce_required" doc:"every client has to use PKCE; public ones always have to" go:"PKCERequired"`
	PlainPKCE       bool          `yaml:"insecure_allow_plain_pkce" doc:"allow the PKCE method plain: who sees the request can use the code" go:"InsecureAllowPlainPKCE"`
	RedirectSchemes []string      `yaml:"allowed_redirect_uri_schemes" placeholder:"SCHEME" doc:"schemes that redirect URIs may have, unless the client's record has others; http is for loopback hosts only" go:"RedirectSchemes"`
	HTTPRedirects   bool          `yaml:"insecure_http_redirects" doc:"allow http redirect URIs of any host: who listens gets the code" go:"InsecureHTTPRedirects"`
	Prompt          string        `yaml:"request_approval_prompt" flag:"approval-prompt" enum:"force,auto" doc:"when people are asked for consent: force for every time, auto for what they have not consented to yet" go:"ApprovalPrompt"`
}

// A refreshSettings is about refresh tokens.
type refreshSettings struct {
	RefreshLife      time.Duration `yaml:"refresh_token_expire_seconds" word:"never" doc:"how long after the approval refresh tokens can be used, however often they are rotated; never ends never, 0 issues none" go:"RefreshTokenTTL"`
	RefreshIdle      time.Duration `yaml:"refresh_token_idle_seconds" doc:"how long a refresh token can be used after it was issued; 0 sets no such limit" go:"RefreshTokenIdle"`
	Grace            time.Duration `yaml:"refresh_token_grace_period_seconds" doc:"how long after its first use a refresh token can be used again, as the answer may be lost; 300 at most" go:"RefreshGrace"`
	Rotate           bool          `yaml:"rotate_refresh_token" doc:"a refresh token is replaced when it is used; those of public clients always are" go:"RotateRefreshToken"`
	ReuseProtection  bool          `yaml:"refresh_token_reuse_protection" doc:"use after the grace period revokes all tokens of the approval; without it, the use is only refused" go:"RefreshReuse"`
	RefreshGenerator generator     `yaml:"refresh_token_generator" placeholder:"NAME" doc:"as access_token_generator" go:"RefreshToken"`
}

// A scopeSettings says which scopes there are.
type scopeSettings struct {
	ScopeBackend  string     `yaml:"scopes_backend" also:"scopes_backend_class" enum:"registered,static" doc:"which scopes there are: those that a client is registered with, or those in scopes alone" go:"Scopes"`
	Scopes        yaml.Texts `yaml:"scopes" flag:"scope" doc:"scopes in the order in which people see them, and what they are told that each allows" go:"Scopes"`
	DefaultScopes []string   `yaml:"default_scopes" flag:"default-scope" placeholder:"SCOPE" doc:"scopes of a request that names none, unless the client has its own; __all__ for all in scopes" go:"DefaultScopes"`
	ReadScope     string     `yaml:"read_scope" placeholder:"SCOPE" doc:"scope that reading needs; with scopes_backend static, and if there are no others, it is one of the two" go:"scopes.Static.Read"`
	WriteScope    string     `yaml:"write_scope" placeholder:"SCOPE" doc:"scope that writing needs, likewise" go:"scopes.Static.Write"`
}

// A clientSettings is about clients and their secrets. "sneck client create"
// has these flags, too.
type clientSettings struct {
	IDGenerator     generator `yaml:"client_id_generator" also:"client_id_generator_class" placeholder:"NAME" doc:"how identifiers of clients are made up: base62-N and hex-N have N random characters" go:"ClientID"`
	SecretGenerator string    `yaml:"client_secret_generator" also:"client_secret_generator_class" enum:"base62,hex" doc:"characters of generated client secrets" go:"ClientSecret"`
	SecretLength    int       `yaml:"client_secret_generator_length" doc:"how many these are: 22 to 1024, for hex 32 or more" go:"ClientSecretLength"`
	Hasher          string    `yaml:"client_secret_hasher" enum:"automatic" doc:"how client secrets are stored: automatic takes SHA-256 for generated ones, argon2id for others" go:"SecretHasher"`
	PeppersFile     string    `yaml:"client_secret_peppers_file" doc:"file with keys for the digests of generated secrets, 16 random bytes or more in base64, the new one first" go:"SecretPeppers"`
	SealingKeyFile  string    `yaml:"sealing_key_file" flag:"sealing-key" env:"SNECK_SEALING_KEY" doc:"file with the key that encrypts private keys and secrets in the database: 32 random bytes in base64; further lines are old ones" go:"Sealer"`
}

// A bindingSettings says by which keys and certificates clients are known, and
// what tokens are bound to. The server has no TLS of its own, so certificates
// are those that a proxy has seen.
type bindingSettings struct {
	MTLSHeader string `yaml:"mtls_header" doc:"header field in which the trusted proxies hand on the client's certificate, by which clients can authenticate, and to which tokens can be bound" go:"MutualTLS.Header" example:"Client-Cert"`
	MTLSRoots  string `yaml:"mtls_roots_file" doc:"file with the certificates of authorities in PEM that say who a client is; without it, only certificates that are in the client's record do" go:"MutualTLS.Roots"`
	MTLSURL    string `yaml:"mtls_url" placeholder:"URL" doc:"URL at which clients are asked for certificates, if that is not the issuer" go:"MutualTLS.Endpoints" example:"https://mtls.auth.example.com"`
	NonceFile  string `yaml:"dpop_nonce_key_file" doc:"file with a key, 32 random bytes or more in base64; DPoP proofs must then hold a nonce of the server, or of another with this key" go:"DPoPNonceKey"`

	EndpointAudience bool `yaml:"insecure_endpoint_audience" doc:"take JWTs by which clients authenticate that are meant for the URL of the token endpoint, and not for the issuer: another server that a client uses can get one that is good here" go:"Assertions.InsecureEndpointAudience"`
	PrivateKeySets   bool `yaml:"insecure_private_key_sets" doc:"get the keys of clients (jwks_uri) from addresses that are not public, too: who registers a client has the server ask machines around it" go:"Assertions.InsecurePrivateKeySets"`
}

// A keySettings says what JWTs are signed with.
type keySettings struct {
	InsecureUnsealed bool          `yaml:"insecure_unsealed" doc:"keep signing keys in the database without a sealing key: who can read it can sign tokens"`
	RotateKeys       time.Duration `yaml:"rotate_keys" doc:"how long a key in the database signs; 0s for until sneck keys rotate"`
	KeyAlgorithm     string        `yaml:"key_algorithm" enum:"ES256,ES384,ES512,EdDSA,RS256,PS256" doc:"algorithm of keys that the server makes"`
	SigningKeyFile   string        `yaml:"signing_key_file" flag:"signing-key" env:"SNECK_SIGNING_KEY" doc:"file with the private key to sign with, a JWK or PEM, in place of keys in the database" go:"Keys"`
	OtherKeysFile    string        `yaml:"other_keys_file" flag:"other-keys" env:"SNECK_OTHER_KEYS" doc:"file with public keys to publish besides, a JWK Set or PEM: those that will sign, and those that did"`
}

// A limitSettings says how often somebody may ask.
type limitSettings struct {
	TokenRate    int            `yaml:"token_rate" min:"1" doc:"tokens that a client may ask for in a second, and revoke, after a burst of five times as many; twice as many for an address" go:"Limits.Token"`
	QuestionRate int            `yaml:"introspection_rate" min:"1" doc:"the same for introspections" go:"Limits.Introspect"`
	Limits       endpointLimits `yaml:"limits"`
	Redis        redisSettings  `yaml:"redis"`
}

// endpointLimits are those of authserver.Limits. An empty rate is its default.
type endpointLimits struct {
	Token        limitPair `yaml:"token" doc:"requests for tokens" go:"Limits.Token"`
	Introspect   limitPair `yaml:"introspect" doc:"introspections" go:"Limits.Introspect"`
	Revoke       limitPair `yaml:"revoke" doc:"revocations" go:"Limits.Revoke"`
	Device       limitPair `yaml:"device" doc:"requests for codes of devices" go:"Limits.Device"`
	Failures     limitPair `yaml:"failures" doc:"answers with 401, and wrong passwords of legacy_password," go:"Limits.Failures"`
	SignIn       signIn    `yaml:"sign_in" go:"pages.Config.Limits"`
	UserCodes    rate      `yaml:"user_codes" placeholder:"RATE" doc:"wrong codes of devices from one address" go:"Limits.UserCodes"`
	AllUserCodes rate      `yaml:"all_user_codes" placeholder:"RATE" doc:"wrong codes of devices from all addresses together" go:"Limits.AllUserCodes"`
}

// A signIn are the limits of pages.Limits.
type signIn struct {
	Browser  rate `yaml:"browser" placeholder:"RATE" doc:"passwords for one account with a browser that it knows" go:"Browser"`
	Account  rate `yaml:"account" placeholder:"RATE" doc:"passwords for one account from one address" go:"Account"`
	Address  rate `yaml:"address" placeholder:"RATE" doc:"passwords for all accounts from one address" go:"Address"`
	Passkeys rate `yaml:"passkeys" placeholder:"RATE" doc:"passkeys that are asked for from one address" go:"Passkeys"`
}

// A redisSettings says where servers count together.
type redisSettings struct {
	URL          string `yaml:"url" placeholder:"URL" doc:"Redis or Valkey in which several servers count together, such as rediss://sneck@redis.example.com:6379/0" go:"Limits.Limiter"`
	PasswordFile string `yaml:"password_file" doc:"file with its password"`
	Prefix       string `yaml:"prefix" doc:"what its keys begin with"`
}

// A sweepSettings says how what has expired is deleted.
type sweepSettings struct {
	SweepBatch    int           `yaml:"clear_expired_tokens_batch_size" min:"1" doc:"how many expired records are deleted at once, 1000000 at most" go:"Sweep.BatchSize"`
	SweepInterval time.Duration `yaml:"clear_expired_tokens_interval" doc:"time between two rounds of deleting; 0s deletes nothing until sneck tokens clear" go:"Sweep.Interval"`
	SweepPause    time.Duration `yaml:"clear_expired_tokens_pause" doc:"time between two batches" go:"Sweep.Pause"`
	SweepRetain   time.Duration `yaml:"clear_expired_tokens_retain" doc:"how long expired records stay: the reuse of what is still there is noticed" go:"Sweep.Retain"`
}

// A pageSettings says what people see.
type pageSettings struct {
	Pages       bool          `yaml:"pages" doc:"let people sign in and decide, with pages at /authorize, /device and /account" go:"Login"`
	Title       string        `yaml:"title" doc:"name above the pages; the host of the issuer if there is none" go:"pages.Config.Title"`
	PagesDir    string        `yaml:"pages_dir" placeholder:"DIR" doc:"directory with files that replace those of the pages, or add a language" go:"pages.Config.Files"`
	SessionIdle time.Duration `yaml:"session_idle_seconds" min:"1" doc:"how long a person stays signed in who does nothing" go:"pages.Config.SessionIdle"`
	SessionLife time.Duration `yaml:"session_expire_seconds" min:"1" doc:"how long a person stays signed in at most" go:"pages.Config.SessionLife"`

	PasswordPeppersFile string `yaml:"password_peppers_file" doc:"file with keys for the hashes of passwords, 16 random bytes or more in base64, the new one first; sneck user create and passwd take it, too" go:"pages.Config.Hasher"`
}

// defaultSettings returns what is in force if nobody says anything.
func defaultSettings() serverSettings {
	return serverSettings{
		reachSettings: reachSettings{Listen: "127.0.0.1:8080", ProxyHeader: "X-Forwarded-For", Decoder: "form"},
		tokenSettings: tokenSettings{
			Life: time.Hour, Format: string(authserver.FormatOpaque), Generator: checksummed, CodeLife: time.Minute, DeviceLife: 10 * time.Minute,
			PKCE: true, RedirectSchemes: []string{"http", "https"}, Prompt: "force",
		},
		refreshSettings: refreshSettings{RefreshLife: 30 * 24 * time.Hour, Rotate: true, ReuseProtection: true, RefreshGenerator: checksummed},
		scopeSettings:   scopeSettings{ScopeBackend: "registered", ReadScope: "read", WriteScope: "write"},
		clientSettings:  clientSettings{IDGenerator: "base62-32", SecretGenerator: "base62", SecretLength: authserver.DefaultSecretLength, Hasher: "automatic"},
		keySettings:     keySettings{RotateKeys: 30 * 24 * time.Hour, KeyAlgorithm: "ES256"},
		limitSettings: limitSettings{
			TokenRate: 1000, QuestionRate: 10000, Redis: redisSettings{Prefix: "sneck:"},
			Limits: endpointLimits{
				Device:    limitPair{perSecond(1, 60), perSecond(2, 120)},
				Failures:  limitPair{perMinute(10, 10), perMinute(60, 100)},
				SignIn:    signIn{perQuarter(10), perQuarter(10), perQuarter(50), perQuarter(300)},
				UserCodes: perMinute(10, 10), AllUserCodes: perMinute(300, 300),
			},
		},
		sweepSettings: sweepSettings{SweepBatch: 10000, SweepInterval: time.Minute, SweepPause: 10 * time.Millisecond, SweepRetain: time.Hour},
		pageSettings:  pageSettings{Pages: true, SessionIdle: 24 * time.Hour, SessionLife: 14 * 24 * time.Hour},
	}
}
