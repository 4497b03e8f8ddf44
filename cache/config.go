package cache

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sneckauth/sneck"
)

// Config describes a [Cache].
type Config struct {
	// Verifier is asked what is not remembered. It is required.
	Verifier sneck.Verifier

	// TTL is how long an active answer is used, counted from the moment the
	// question was asked. It ends sooner with the token's own expiry: 5 s
	// before it, or a tenth of what is left if that is less. Zero turns the
	// cache off: every request asks.
	TTL time.Duration
	// NoExpiryTTL is used instead where the answer states no expiry; half of
	// TTL if zero. It can not be longer than TTL.
	NoExpiryTTL time.Duration
	// InactiveTTL is how long a refusal is remembered; 10 s or TTL if that is
	// shorter if zero, not at all if negative.
	InactiveTTL time.Duration
	// TTLFor may shorten the time for a token, say for one with a dangerous
	// scope; nil leaves it as it is. Zero or less is not remembered at all.
	TTLFor func(*sneck.Token) time.Duration

	// RefreshAfter is the age from which an answer that is still in use is
	// asked for again in the background; three quarters of its time if zero,
	// never if negative. Up to a tenth is taken off at random, so that tokens
	// that came together do not come back together.
	RefreshAfter time.Duration
	// StaleIfError is how much longer than its time an active answer may be
	// used while the verifier can not find out: never beyond the token's
	// expiry, a definite refusal, a revocation, or what the route allows.
	// Zero, the default, refuses such requests; at most an hour.
	StaleIfError time.Duration

	// MaxBytes bounds the memory of all entries, by estimate; 64 MiB if zero.
	// A tenth of it is for refusals, which therefore never push out an active
	// token.
	MaxBytes int64
	// FlightTimeout bounds one question, whoever waits for it; 5 s if zero.
	FlightTimeout time.Duration
	// Shared is the tier behind this process's memory; nil for none.
	Shared *Shared

	// Logger is told about background failures; nil is silent.
	Logger *slog.Logger
	// Now is the clock; [time.Now] if nil.
	Now func() time.Time
}

const (
	expiryMargin   = 5 * time.Second
	defaultRefusal = 10 * time.Second
	defaultBytes   = 64 << 20
	defaultFlight  = 5 * time.Second
	maxStale       = time.Hour
	sharedTimeout  = 50 * time.Millisecond
	maxMarks       = 100_000
	maxRefreshes   = 64
	retryPause     = time.Second
)

func (cfg *Config) check() error {
	var errs []error
	if cfg.Verifier == nil {
		errs = append(errs, errors.New("cache: Verifier is missing (hint: an introspect.Client or a jwt.Verifier)"))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"TTL", cfg.TTL}, {"NoExpiryTTL", cfg.NoExpiryTTL}, {"StaleIfError", cfg.StaleIfError}, {"FlightTimeout", cfg.FlightTimeout},
	} {
		if d.value < 0 {
			errs = append(errs, errors.New("cache: "+d.name+" is negative"))
		}
	}
	if cfg.StaleIfError > maxStale {
		errs = append(errs, errors.New("cache: StaleIfError is longer than an hour"))
	}
	if cfg.NoExpiryTTL > cfg.TTL {
		errs = append(errs, errors.New("cache: NoExpiryTTL is longer than TTL"))
	}
	if cfg.MaxBytes < 0 || cfg.MaxBytes > 0 && cfg.MaxBytes < 64<<10 {
		errs = append(errs, errors.New("cache: MaxBytes is less than 64 KiB"))
	}
	if cfg.Shared != nil {
		errs = append(errs, cfg.Shared.check(cfg.TTL+cfg.StaleIfError))
	}
	return errors.Join(errs...)
}

func (cfg *Config) setDefaults() {
	if cfg.NoExpiryTTL == 0 {
		cfg.NoExpiryTTL = cfg.TTL / 2
	}
	if cfg.InactiveTTL == 0 {
		cfg.InactiveTTL = min(defaultRefusal, cfg.TTL)
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultBytes
	}
	if cfg.FlightTimeout == 0 {
		cfg.FlightTimeout = defaultFlight
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Shared != nil {
		shared := *cfg.Shared
		shared.Secret = append([]byte(nil), shared.Secret...)
		if shared.Timeout == 0 {
			shared.Timeout = sharedTimeout
		}
		cfg.Shared = &shared
	}
}

// New returns a Cache, or an error that lists every mistake in the
// configuration. The Cache must be closed.
func New(cfg Config) (*Cache, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	start := now()
	c := &Cache{
		cfg:     cfg,
		clock:   newClock(now, start),
		start:   start,
		tagger:  newTagger(),
		flights: flights{byTag: make(map[tag]*flight)},
		slots:   make(chan struct{}, maxRefreshes),
		marks:   newWatermarks(cfg.TTL+cfg.StaleIfError+clockSkew, maxMarks),
		origin:  origin(),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	if cfg.TTL == 0 {
		return c, nil
	}
	var err error
	if c.active, err = newMemory(cfg.MaxBytes - cfg.MaxBytes/10); err != nil {
		return nil, err
	}
	if c.inactive, err = newMemory(cfg.MaxBytes / 10); err != nil {
		return nil, err
	}
	if cfg.Shared != nil {
		if c.sealer, err = newSealer(cfg.Shared.Namespace, cfg.Shared.Secret); err != nil {
			return nil, err
		}
		if cfg.Shared.Bus != nil {
			c.flights.group.Add(2)
			go c.listen()
			go c.greet()
		}
	}
	return c, nil
}
