package main

import (
	"time"
)

// guardSettings are the settings of "sneck guard". What is left out is safe,
// or said to be missing.
type guardSettings struct {
	guardPlace
	guardAuthority
	guardLocal
	guardMemory
	guardRules
	guardBinding
	guardMetadata
}

// guardPlace says where requests come from and go to.
type guardPlace struct {
	Mode          string `yaml:"mode" enum:"proxy,forward-auth" group:"Requests" doc:"proxy passes requests on to the upstream; forward-auth answers a proxy that asks whether a request may pass"`
	Listen        string `yaml:"listen" group:"Requests" doc:"address to listen at" example:"127.0.0.1:8081"`
	HealthListen  string `yaml:"health_listen" group:"Requests" doc:"address at which /healthz and /readyz tell whether it runs; nowhere if left out" example:"127.0.0.1:8082"`
	MetricsListen string `yaml:"metrics_listen" group:"Requests" doc:"address at which /metrics tells Prometheus what was decided, remembered and asked; nowhere if left out" example:"127.0.0.1:8083"`

	TLSCertificate string `yaml:"tls_certificate_file" flag:"tls-cert" group:"Requests" doc:"file with the certificate to show to clients, and those that it is signed by; without it there is no TLS. It is read again when it changes" example:"/etc/sneck/tls.crt"`
	TLSKey         string `yaml:"tls_key_file" flag:"tls-key" group:"Requests" doc:"file with the key of that certificate"`

	Upstream     string   `yaml:"upstream" group:"Requests" doc:"URL of the service behind the guard" example:"http://127.0.0.1:3000"`
	UpstreamHost string   `yaml:"upstream_host" group:"Requests" doc:"Host that the service sees; that of the request if left out"`
	ForwardToken bool     `yaml:"forward_token" group:"Requests" doc:"the service gets the token, too, and can act as its bearer elsewhere"`
	Proxies      []string `yaml:"trusted_proxies" group:"Requests" doc:"addresses of the proxies in front, such as 10.0.0.0/8, whose word counts about the client"`
	Convention   string   `yaml:"forward_auth_request" enum:"x-forwarded,x-original,path" group:"Requests" doc:"how the proxy says about which request it asks: Traefik and Caddy x-forwarded, nginx x-original, Envoy path"`

	ConnectTimeout  time.Duration `yaml:"upstream_connect_timeout_seconds" min:"1" group:"Requests" doc:"how long it may take to connect to the upstream"`
	ResponseTimeout time.Duration `yaml:"upstream_response_timeout_seconds" min:"0" group:"Requests" doc:"how long the upstream may take to begin with an answer; 0 is as long as it likes"`
	IdleTimeout     time.Duration `yaml:"idle_timeout_seconds" min:"1" group:"Requests" doc:"how long a client may send or take nothing in the middle of a request or answer"`
	AccessLog       bool          `yaml:"access_log" group:"Requests" doc:"log each request, without query and token"`
	LogJSON         bool          `yaml:"log_json" group:"Requests" doc:"log JSON objects"`
}

// guardAuthority says whom to ask about tokens, and as whom.
type guardAuthority struct {
	IntrospectionURL string   `yaml:"resource_server_introspection_url" group:"Whom to ask about tokens" doc:"introspection endpoint; found by the issuer if left out" example:"https://auth.example.com/introspect"`
	FailoverURLs     []string `yaml:"resource_server_introspection_failover_urls" group:"Whom to ask about tokens" doc:"further endpoints of the same authority, asked when those before them fail"`
	Issuer           string   `yaml:"issuer" group:"Whom to ask about tokens" doc:"issuer identifier of the authorization server" example:"https://auth.example.com"`

	AuthToken     string   `yaml:"resource_server_auth_token" secret:"true" group:"Whom to ask about tokens" doc:"access token to ask with; better in a file"`
	AuthTokenFile string   `yaml:"resource_server_auth_token_file" group:"Whom to ask about tokens" doc:"file with the access token to ask with, which is read again when it changes"`
	Credentials   []string `yaml:"resource_server_introspection_credentials" group:"Whom to ask about tokens" doc:"client identifier, and the file with its secret or key, which is read again when it changes"`
	AuthMethod    string   `yaml:"resource_server_introspection_auth_method" enum:"client_secret_basic,client_secret_basic_raw,client_secret_post,private_key_jwt,tls_client_auth" group:"Whom to ask about tokens" doc:"what the credentials are proven by"`
	TokenURL      string   `yaml:"resource_server_token_url" group:"Whom to ask about tokens" doc:"token endpoint at which the credentials get an access token to ask with, by client_credentials"`
	TokenScope    string   `yaml:"resource_server_token_scope" group:"Whom to ask about tokens" doc:"scope to ask for there"`

	TokenResource string `yaml:"resource_server_token_resource" group:"Whom to ask about tokens" doc:"resource that the token is for (RFC 8707); sneck serve wants its issuer"`

	CAFile          string `yaml:"authentication_server_ca_file" group:"Whom to ask about tokens" doc:"file with the certificates that the authorization server's is signed by; those of the system if left out"`
	CertificateFile string `yaml:"resource_server_certificate_file" group:"Whom to ask about tokens" doc:"file with the certificate to show to the authorization server"`
	KeyFile         string `yaml:"resource_server_key_file" group:"Whom to ask about tokens" doc:"file with the key of that certificate"`
	InsecureHTTP    bool   `yaml:"insecure_http" group:"Whom to ask about tokens" doc:"allow http to other machines, where everybody on the way can read tokens and secrets"`
	ExpZone         string `yaml:"authentication_server_exp_time_zone" group:"Whom to ask about tokens" doc:"time zone of an authorization server that sends the reading of its clock in exp" example:"Europe/Berlin"`

	QuestionTimeout time.Duration `yaml:"resource_server_introspection_timeout_seconds" min:"1" group:"Whom to ask about tokens" doc:"how long one question may take in all"`
	Concurrency     int           `yaml:"resource_server_introspection_concurrency" min:"1" group:"Whom to ask about tokens" doc:"how many questions may be asked at the same time"`
	Rate            float64       `yaml:"resource_server_introspection_rate" group:"Whom to ask about tokens" doc:"how many questions a second may be asked about tokens of which nothing is known; 0 is any number"`
	Burst           int           `yaml:"resource_server_introspection_burst" min:"0" group:"Whom to ask about tokens" doc:"how many of them at once; those of one second if 0"`
	TokenPrefixes   []string      `yaml:"resource_server_token_prefixes" group:"Whom to ask about tokens" doc:"what the tokens of this authority begin with; others are not shown to it"`
	Signed          bool          `yaml:"resource_server_introspection_signed" group:"Whom to ask about tokens" doc:"take signed answers only (RFC 9701)"`
}

// guardLocal says how JWTs are verified without asking.
type guardLocal struct {
	Verify        string        `yaml:"verify" enum:"introspection,jwt,either,both" group:"JWTs" doc:"ask about all tokens; verify JWTs by the issuer's keys and take no others; or verify JWTs and ask about other tokens; or verify JWTs and ask about all"`
	JWKSURL       string        `yaml:"jwks_url" group:"JWTs" doc:"URL of the issuer's keys; found by the issuer if left out"`
	JWTAlgorithms []string      `yaml:"jwt_algorithms" group:"JWTs" doc:"signature algorithms that the issuer uses; all if left out" example:"ES256"`
	JWTProfile    string        `yaml:"jwt_profile" enum:"rfc9068,legacy" group:"JWTs" doc:"which JWTs are access tokens; legacy is for issuers that predate RFC 9068"`
	JWTLifetime   time.Duration `yaml:"jwt_max_lifetime_seconds" min:"0" group:"JWTs" doc:"longest life of a JWT that is taken; 0 is any"`
	JWKSDirectory string        `yaml:"jwks_directory" group:"JWTs" doc:"directory in which the issuer's keys are kept, for a start while it is down; only the guard may write there"`
}

// guardMemory says what is remembered, and shared with other guards.
type guardMemory struct {
	TTL          time.Duration `yaml:"resource_server_token_caching_seconds" min:"0" group:"Memory" doc:"how long an answer is used, if the token does not expire before; 0 asks for every request"`
	StaleIfError time.Duration `yaml:"stale_if_error_seconds" min:"0" group:"Memory" doc:"how much longer an answer is used while nobody can be asked"`
	MaxBytes     int64         `yaml:"cache_max_bytes" min:"65536" group:"Memory" doc:"memory for answers"`

	RedisURL          string `yaml:"redis_url" group:"Memory" doc:"Redis that guards share answers, revocations and used DPoP proofs in" example:"rediss://redis.example.com:6379/0"`
	RedisPasswordFile string `yaml:"redis_password_file" group:"Memory" doc:"file with the password for it"`
	RedisUsername     string `yaml:"redis_username" group:"Memory" doc:"user for it; default if left out"`
	RedisCAFile       string `yaml:"redis_ca_file" group:"Memory" doc:"file with the certificates that that of Redis is signed by; those of the system if left out"`
	RedisPrefix       string `yaml:"redis_prefix" group:"Memory" doc:"what the names of all keys begin with; one for each authority and set of credentials if left out"`
	SharedSecretFile  string `yaml:"shared_secret_file" group:"Memory" doc:"file with 32 random bytes or more that the guards have in common and Redis does not know"`
}

// guardRules say what requests demand, and what clients are told.
type guardRules struct {
	Audience           []string      `yaml:"audience" group:"What is demanded" doc:"identifiers of this service, of which a token must be meant for one" example:"https://api.example.com"`
	DangerouslyAnyone  bool          `yaml:"dangerously_any_audience" group:"What is demanded" doc:"take tokens that are meant for any other service, too"`
	RoutesFile         string        `yaml:"routes_file" group:"What is demanded" doc:"file with what each route demands (docs/routes.md), which is followed when it changes"`
	ReadScope          string        `yaml:"read_scope" group:"What is demanded" doc:"scope of GET, HEAD and OPTIONS, where there is no file with routes"`
	WriteScope         string        `yaml:"write_scope" group:"What is demanded" doc:"scope of all other methods, where there is no file with routes"`
	AnyToken           bool          `yaml:"any_token" group:"What is demanded" doc:"take every valid token, whatever its scopes, where there is no file with routes"`
	Realm              string        `yaml:"realm" group:"What is demanded" doc:"protection space that challenges name"`
	ErrorWithScopes    bool          `yaml:"error_response_with_scopes" group:"What is demanded" doc:"name the scopes in the body of a 403, too"`
	ScopesInChallenges bool          `yaml:"scopes_in_challenges" group:"What is demanded" doc:"name the scopes of a route to those without a token, too"`
	AllowPreflight     bool          `yaml:"allow_preflight" group:"What is demanded" doc:"let CORS preflight requests pass, which have no token"`
	RetryAfter         time.Duration `yaml:"retry_after_seconds" min:"1" group:"What is demanded" doc:"when clients are to try again after an outage"`
}

// guardBinding says how tokens are taken that are bound to a key.
type guardBinding struct {
	DPoP        string `yaml:"dpop" enum:"off,optional,strict" group:"Bound tokens" doc:"refuse tokens that are bound by DPoP; take them, too; take no others"`
	ExternalURL string `yaml:"dpop_external_url" group:"Bound tokens" doc:"URL under which clients reach the root of the service" example:"https://api.example.com"`
	NonceFile   string `yaml:"dpop_nonce_key_file" group:"Bound tokens" doc:"file with 32 random bytes or more; proofs must then hold a nonce of the guard"`
	MTLS        string `yaml:"mtls" enum:"off,optional,strict" group:"Bound tokens" doc:"the same of tokens that are bound to a client certificate, for which clients are asked if there is a tls_certificate_file"`
	MTLSHeader  string `yaml:"mtls_header" group:"Bound tokens" doc:"header field in which the trusted proxies hand on the client's certificate" example:"Client-Cert"`
}

// guardMetadata tells clients where to get tokens (RFC 9728).
type guardMetadata struct {
	Resource      string   `yaml:"metadata_resource" group:"Metadata" doc:"URL of this service, one of its audience; metadata are published if it is set (RFC 9728)" example:"https://api.example.com"`
	Servers       []string `yaml:"metadata_authorization_servers" group:"Metadata" doc:"issuers that clients get tokens from; the issuer if left out"`
	Scopes        []string `yaml:"metadata_scopes" group:"Metadata" doc:"scopes that are worth asking for"`
	Name          string   `yaml:"metadata_name" group:"Metadata" doc:"name of the service, for people"`
	Documentation string   `yaml:"metadata_documentation" group:"Metadata" doc:"URL of a page for developers"`
}

// newGuardSettings returns the defaults.
func newGuardSettings() *guardSettings {
	s := &guardSettings{}
	s.Mode, s.Listen = "proxy", "127.0.0.1:8081"
	s.ConnectTimeout, s.ResponseTimeout, s.IdleTimeout = 5*time.Second, time.Minute, time.Minute
	s.AccessLog = true
	s.AuthMethod, s.ExpZone = methodBasic, "UTC"
	s.QuestionTimeout, s.Concurrency = 2*time.Second, 64
	s.Verify, s.JWTProfile = verifyIntrospection, "rfc9068"
	s.TTL, s.MaxBytes = time.Minute, 64<<20
	s.ReadScope, s.WriteScope = "read", "write"
	s.Realm, s.RetryAfter = "api", time.Second
	s.DPoP, s.MTLS = "off", "off"
	return s
}
