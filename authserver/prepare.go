package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sneckauth/sneck/internal/dpop"
	"github.com/sneckauth/sneck/scopes"
)

const (
	defaultAccessTokenTTL  = time.Hour
	defaultCodeTTL         = time.Minute
	defaultRefreshTokenTTL = 30 * 24 * time.Hour
	defaultDeviceTTL       = 10 * time.Minute
	maxDeviceTTL           = time.Hour
	// maxGrace bounds how long one refresh token can have several successors.
	maxGrace = 5 * time.Minute
)

// prepare returns a copy of c with all defaults filled in, and every mistake.
func (c Config) prepare() (Config, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("authserver: "+format, args...))
	}
	if err := checkIssuer(c.Issuer); err != nil {
		bad("Issuer: %w", err)
	}
	if c.Store == nil {
		bad("Store is missing (hint: NewMemory for a start, or an adapter)")
	}
	if c.Clients == nil {
		bad("Clients is missing (hint: NewMemory for a start, or an adapter)")
	}
	if err := checkTTL("AccessTokenTTL", c.AccessTokenTTL); err != nil {
		bad("%w", err)
	}
	if c.AccessTokenTTL == 0 {
		c.AccessTokenTTL = defaultAccessTokenTTL
	}
	if !c.AccessTokenFormat.known() {
		bad("AccessTokenFormat %q is not known (hint: %s or %s)", c.AccessTokenFormat, FormatOpaque, FormatJWT)
	}
	if c.AccessTokenFormat == FormatJWT && c.Keys == nil {
		bad("AccessTokenFormat %s needs Keys (hint: NewKeyRing, NewFileKeys or StaticKeys)", FormatJWT)
	}
	if c.RecognizeToken == nil {
		c.RecognizeToken = WellFormed
		if c.AccessToken != nil {
			c.RecognizeToken = func(string) bool { return true }
		}
	}
	if c.ownTokens = c.AccessToken == nil; c.ownTokens {
		c.AccessToken = func(context.Context, *TokenRequest) (string, error) { return NewAccessToken(), nil }
	}
	errs = append(errs, c.prepareCodes(), c.prepareRefresh(), c.prepareGrants(), c.Sweep.prepare(), c.Assertions.prepare(), c.MutualTLS.prepare(c.Proxies))
	if c.Scopes == nil {
		c.Scopes = scopes.Static{}
	}
	var err error
	if c.DefaultScopes, err = expandDefaults(c.Scopes, c.DefaultScopes); err != nil {
		bad("DefaultScopes: %w", err)
	}
	if slices.Contains(c.Audience, "") {
		bad("Audience has an empty entry")
	}
	c.Audience = slices.Clone(c.Audience)
	if c.ClientSecretLength != 0 && (c.ClientSecretLength < MinSecretLength || c.ClientSecretLength > maxSecret) {
		bad("ClientSecretLength %d is not in %d to %d", c.ClientSecretLength, MinSecretLength, maxSecret)
	}
	if c.ClientSecretLength == 0 {
		c.ClientSecretLength = DefaultSecretLength
	}
	if c.ClientID == nil {
		c.ClientID = func() string { return string(appendRandom(nil, 32)) }
	}
	if c.ClientSecret == nil {
		n := c.ClientSecretLength
		c.ClientSecret = func() string { return string(appendRandom(nil, max(n, 0))) }
	}
	if c.Decoder == nil {
		c.Decoder = DecodeForm
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	errs = append(errs, c.Limits.prepare(c.Now), c.Proxies.prepare())
	if err := checkPeppers(c.SecretPeppers); err != nil {
		errs = append(errs, err)
	}
	for _, err := range dpop.CheckNonces("DPoP", c.DPoPNonceKey, c.DPoPNonceTTL) {
		bad("%w", err)
	}
	if c.SecretHasher != nil && c.SecretPeppers != nil {
		bad("SecretHasher and SecretPeppers are both set (hint: a SecretHasher has peppers of its own)")
	}
	c.SecretPeppers = clonePeppers(c.SecretPeppers)
	if c.AuditRequired && c.Audit == nil {
		bad("AuditRequired without Audit (hint: package authserver/audit)")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}

// prepareCodes fills in and checks what is about the authorization endpoint.
func (c *Config) prepareCodes() error {
	var errs []error
	if c.AuthorizationCodeTTL == 0 {
		c.AuthorizationCodeTTL = defaultCodeTTL
	}
	if c.AuthorizationCodeTTL < 0 || c.AuthorizationCodeTTL > maxCodeTTL {
		errs = append(errs, fmt.Errorf("authserver: AuthorizationCodeTTL %v is not in 0 to %v", c.AuthorizationCodeTTL, maxCodeTTL))
	}
	if c.ApprovalPrompt != PromptForce && c.ApprovalPrompt != PromptAuto {
		errs = append(errs, fmt.Errorf("authserver: ApprovalPrompt %d is not known", c.ApprovalPrompt))
	}
	if c.DeviceCodeTTL == 0 {
		c.DeviceCodeTTL = defaultDeviceTTL
	}
	if err := checkTTL("DeviceCodeTTL", c.DeviceCodeTTL); err != nil || c.DeviceCodeTTL > maxDeviceTTL {
		errs = append(errs, fmt.Errorf("authserver: DeviceCodeTTL %v is not in whole seconds up to %v", c.DeviceCodeTTL, maxDeviceTTL))
	}
	if c.RedirectSchemes == nil {
		c.RedirectSchemes = []string{"http", "https"}
	}
	c.RedirectSchemes = slices.Clone(c.RedirectSchemes)
	if i := slices.IndexFunc(c.RedirectSchemes, forbiddenScheme); i >= 0 {
		errs = append(errs, fmt.Errorf("authserver: RedirectSchemes has %q, which is not safe to redirect to", c.RedirectSchemes[i]))
	}
	return errors.Join(errs...)
}

// prepareRefresh fills in and checks what is about refresh tokens.
func (c *Config) prepareRefresh() error {
	var errs []error
	if c.RefreshTokenTTL == 0 {
		c.RefreshTokenTTL = defaultRefreshTokenTTL
	}
	if c.RefreshTokenTTL < 0 && c.RefreshTokenTTL != NoRefreshTokens {
		errs = append(errs, fmt.Errorf("authserver: RefreshTokenTTL %v is negative (hint: NoRefreshTokens)", c.RefreshTokenTTL))
	}
	if c.RefreshTokenIdle < 0 {
		errs = append(errs, fmt.Errorf("authserver: RefreshTokenIdle %v is negative", c.RefreshTokenIdle))
	}
	if c.RefreshGrace < 0 || c.RefreshGrace > maxGrace {
		errs = append(errs, fmt.Errorf("authserver: RefreshGrace %v is not in 0 to %v", c.RefreshGrace, maxGrace))
	}
	if c.RefreshReuse != RevokeFamily && c.RefreshReuse != InsecureRefuseOnly {
		errs = append(errs, fmt.Errorf("authserver: RefreshReuse %d is not known", c.RefreshReuse))
	}
	c.recognizeRefresh = func(string) bool { return true }
	if c.ownRefreshTokens = c.RefreshToken == nil; c.ownRefreshTokens {
		c.recognizeRefresh = func(token string) bool { return minted(RefreshTokenPrefix, token) }
		c.RefreshToken = func(context.Context, *TokenRequest) (string, error) { return mint(RefreshTokenPrefix), nil }
	}
	return errors.Join(errs...)
}

// prepareGrants fills in the built-in grants, or checks the given ones.
func (c *Config) prepareGrants() error {
	if c.Grants == nil {
		c.Grants = []Grant{ClientCredentials()}
		if c.Login != nil {
			c.Grants = append(c.Grants, AuthorizationCode(), DeviceCode())
		}
		if c.RefreshTokenTTL != NoRefreshTokens {
			c.Grants = append(c.Grants, RefreshToken())
		}
		return nil
	}
	var errs []error
	c.Grants = slices.Clone(c.Grants)
	asks := slices.ContainsFunc(c.Grants, func(g Grant) bool {
		return g.Type == GrantAuthorizationCode || g.Type == GrantDeviceCode || g.Type == GrantImplicit
	})
	if asks != (c.Login != nil) {
		errs = append(errs, errors.New("authserver: Login and the grants AuthorizationCode, DeviceCode and LegacyImplicit need each other"))
	}
	for i, g := range c.Grants {
		if g.Type == "" || !isVSCHAR(g.Type) || g.Handle == nil {
			errs = append(errs, fmt.Errorf("authserver: Grants[%d] lacks a type or Handle", i))
		}
		if slices.ContainsFunc(c.Grants[:i], func(other Grant) bool { return other.Type == g.Type }) {
			errs = append(errs, fmt.Errorf("authserver: Grants has %q twice", g.Type))
		}
	}
	return errors.Join(errs...)
}

// expandDefaults checks the default scopes against those that exist.
func expandDefaults(backend scopes.Backend, names []string) ([]string, error) {
	all, err := backend.All(context.Background())
	if err != nil {
		return nil, fmt.Errorf("ask for all scopes: %w", err)
	}
	if err := scopes.CheckDescribed(all); err != nil {
		return nil, err
	}
	known := make(scopes.Set, len(all))
	for i, d := range all {
		known[i] = d.Name
	}
	var expanded []string
	for _, name := range names {
		if name == AllScopes {
			expanded = append(expanded, known.Without(scopes.Set{IntrospectionScope, AdminScope})...)
		} else {
			expanded = append(expanded, name)
		}
	}
	set, err := scopes.Of(expanded...)
	if err != nil {
		return nil, err
	}
	if set.Has(AdminScope) {
		return nil, fmt.Errorf("%q can not be a default (hint: who needs it asks for it)", AdminScope)
	}
	if unknown := set.Without(known); len(unknown) > 0 {
		return nil, fmt.Errorf("%q are not among the scopes %q", []string(unknown), []string(known))
	}
	return set, nil
}
