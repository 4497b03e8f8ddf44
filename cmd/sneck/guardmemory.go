package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/middleware"
)

// A guardShare is what guards have in common; nil if there is only one.
type guardShare struct {
	redis  *redis.Redis
	name   string // of the authority and how it is asked
	secret []byte
}

// remembering returns a Verifier that remembers what another says.
func (b *guardBuilder) remembering(v sneck.Verifier, share *guardShare) sneck.Verifier {
	const least = 5 * time.Second // also to fetch keys or a token of our own
	cfg := cache.Config{
		Verifier: v, TTL: b.TTL, StaleIfError: b.StaleIfError, MaxBytes: b.MaxBytes,
		FlightTimeout: max(least, b.QuestionTimeout+time.Second), Logger: b.logger,
	}
	if share != nil {
		cfg.Shared = &cache.Shared{Store: share.redis, Bus: share.redis, Namespace: share.name, Secret: share.secret}
	}
	c, err := cache.New(cfg)
	if err != nil {
		b.locate(err, "resource_server_token_caching_seconds")
		return v
	}
	b.closing(c.Close)
	if b.metrics != nil {
		b.metrics.watchCache(c)
	}
	return c
}

// share returns what guards share, or nil if they do not or after a mistake.
func (b *guardBuilder) share() *guardShare {
	if b.RedisURL == "" {
		b.useless("without redis_url", map[string]bool{
			"redis_password_file": b.RedisPasswordFile != "", "redis_username": b.RedisUsername != "", "redis_ca_file": b.RedisCAFile != "",
			"redis_prefix": b.RedisPrefix != "", "shared_secret_file": b.SharedSecretFile != "",
		})
		return nil
	}
	if b.SharedSecretFile == "" {
		b.wrong("needs shared_secret_file (hint: openssl rand -hex 32)", "redis_url")
		return nil
	}
	if b.offline {
		return nil
	}
	secret, ok := b.read(b.SharedSecretFile, "shared_secret_file")
	cfg := redis.Config{URL: b.RedisURL, Username: b.RedisUsername, Prefix: b.RedisPrefix, Logger: b.logger}
	if b.RedisPasswordFile != "" {
		var there bool
		cfg.Password, there = b.read(b.RedisPasswordFile, "redis_password_file")
		ok = ok && there
	}
	if b.RedisCAFile != "" {
		cfg.TLS = &tls.Config{RootCAs: b.roots(b.RedisCAFile, "redis_ca_file"), MinVersion: tls.VersionTLS12}
	}
	name := b.authorityName(secret)
	if cfg.Prefix == "" {
		cfg.Prefix = "sneck:" + name + ":"
	}
	cfg.Retention = max(2*time.Hour, b.TTL+b.StaleIfError)
	if !ok {
		return nil
	}
	r, err := redis.New(cfg)
	if err != nil {
		b.locate(err, "redis_url")
		return nil
	}
	b.closing(r.Close)
	return &guardShare{r, name, []byte(secret)}
}

// authorityName stands for the authority, for who asks it, and for all that
// changes what it says or what is made of that: guards that differ in it must
// not share answers. Everybody sees it who sees Redis, so the secret is what
// keeps a token from being guessed by it. A file with a token counts by its
// path: what is in there changes, and guards share what proofs were used.
func (b *guardBuilder) authorityName(secret string) string {
	client := ""
	if len(b.Credentials) > 0 {
		client = b.Credentials[0]
	}
	text, err := json.Marshal([]any{
		b.Verify, b.Issuer, b.IntrospectionURL, b.FailoverURLs, client, b.AuthToken, b.AuthTokenFile,
		b.TokenURL, b.TokenScope, b.TokenResource, b.ExpZone, b.TokenPrefixes, b.Signed,
		b.JWKSURL, b.JWTAlgorithms, b.JWTProfile, b.JWTLifetime,
	})
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// read returns the secret in a file, or false after a mistake.
func (b *guardBuilder) read(path, key string) (string, bool) {
	secret, err := b.file(path)()
	b.locate(err, key)
	return secret, err == nil
}

// dpop says how tokens are taken that are bound by DPoP.
func (b *guardBuilder) dpop(share *guardShare) middleware.DPoP {
	d := middleware.DPoP{Mode: middleware.Mode(b.DPoP), External: b.ExternalURL}
	if b.NonceFile != "" {
		if secret, ok := b.read(b.NonceFile, "dpop_nonce_key_file"); ok {
			d.NonceKey = []byte(secret)
		}
	}
	if share == nil || d.Mode == middleware.Off {
		return d
	}
	replays, err := redis.NewReplays(redis.ReplayConfig{Redis: share.redis, Namespace: "guard", Secret: share.secret})
	if err != nil {
		b.locate(err, "shared_secret_file")
		return d
	}
	d.Replays = replays
	return d
}
