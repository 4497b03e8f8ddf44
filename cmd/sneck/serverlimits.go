package main

import (
	"log/slog"
	"net/url"

	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// limits sets how often somebody may ask. What is said of one limit counts
// before what is said of several.
func (s *serverSettings) limits(l *settings.Loaded, c *authserver.Config) {
	c.Limits = s.Limits.server()
	tokens, questions := s.perClient(l, "token_rate", s.TokenRate), s.perClient(l, "introspection_rate", s.QuestionRate)
	orElse(&c.Limits.Token, tokens)
	orElse(&c.Limits.Revoke, tokens)
	orElse(&c.Limits.Introspect, questions)
	s.sharedLimits(l)
}

// maxRate is the highest rate that can be asked for: as good as none.
const maxRate = 10_000_000

// perClient returns the limits for a rate, whose key is for mistakes. One that
// is not even a number of requests is a mistake already.
func (*limitSettings) perClient(l *settings.Loaded, key string, n int) authserver.EndpointLimit {
	if n > maxRate {
		l.Wrong(key, "%d is not between 1 and %d", n, maxRate)
	}
	return authserver.PerSecond(max(1, min(n, maxRate)))
}

// server returns the limits of the server's endpoints.
func (e *endpointLimits) server() authserver.Limits {
	return authserver.Limits{
		Token: e.Token.limit(), Introspect: e.Introspect.limit(), Revoke: e.Revoke.limit(),
		Device: e.Device.limit(), Failures: e.Failures.limit(),
		UserCodes: authserver.Rate(e.UserCodes), AllUserCodes: authserver.Rate(e.AllUserCodes),
	}
}

// pages returns the limits of the pages, which the limiter counts.
func (i *signIn) pages(limiter authserver.Limiter) pages.Limits {
	return pages.Limits{
		Browser: authserver.Rate(i.Browser), Account: authserver.Rate(i.Account), Address: authserver.Rate(i.Address),
		Passkeys: authserver.Rate(i.Passkeys), Limiter: limiter,
	}
}

// sharedLimits checks where servers count together.
func (s *serverSettings) sharedLimits(l *settings.Loaded) {
	if s.Redis.URL == "" {
		if s.Redis.PasswordFile != "" {
			l.Wrong("redis.password_file", "has no effect without a Redis (hint: redis.url)")
		}
		return
	}
	if u, err := url.Parse(s.Redis.URL); err == nil && l.InFile("redis.url") {
		if _, has := u.User.Password(); has {
			l.Wrong("redis.url", "has a password in it (hint: redis.password_file)")
		}
	}
	redis, err := s.Redis.config()
	if s.gone(err) {
		redis.Password, err = "elsewhere", nil
	}
	if err != nil {
		l.Wrong("redis.password_file", "%v (hint: a file with one line)", err)
	} else if err := redis.Check(); err != nil {
		l.Wrong("redis.url", "%s", withoutPrefix(err))
	}
}

// orElse fills in the rates that are not said.
func orElse(limit *authserver.EndpointLimit, otherwise authserver.EndpointLimit) {
	if limit.Client == (authserver.Rate{}) {
		limit.Client = otherwise.Client
	}
	if limit.Address == (authserver.Rate{}) {
		limit.Address = otherwise.Address
	}
}

// config returns how to reach the Redis. An error is about its password.
func (s *redisSettings) config() (redis.Config, error) {
	c := redis.Config{URL: s.URL, Prefix: s.Prefix}
	u, err := url.Parse(s.URL)
	if err != nil || s.PasswordFile == "" {
		return c, nil // what is wrong with the URL, its Check says
	}
	c.Username = u.User.Username()
	c.Password, err = readSecret(s.PasswordFile)
	return c, err
}

// open begins to connect. The caller closes it.
func (s *redisSettings) open(logger *slog.Logger) (*redis.Redis, error) {
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	c.Logger = logger
	return redis.New(c)
}
