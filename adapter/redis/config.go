package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/redis/rueidis"

	"github.com/sneckauth/sneck/adapter/redis/internal/resp"
)

// Config says where Redis is and how it is used.
type Config struct {
	// URL names the server: redis://user:password@host:6379/0, rediss:// for
	// TLS, unix:///path/to/socket. The query may have addr (a further
	// host:port, repeatable), db, master_set, and cluster=true. The fields
	// below, where set, win over it.
	URL string
	// Addresses are the servers, as host:port: one server, some nodes of a
	// Cluster, or the Sentinels. Required if there is no URL.
	Addresses []string
	// Cluster is true if the servers form a Redis Cluster.
	Cluster bool
	// MasterSet is the name by which the Sentinels know the primary; not
	// empty means that Addresses are those of Sentinels.
	MasterSet string

	// Username and Password log in to Redis; the user "default" if Username
	// is empty, and nobody if both are.
	Username, Password string
	// SentinelUsername and SentinelPassword log in to the Sentinels.
	SentinelUsername, SentinelPassword string
	// Database is the number of the database; a Cluster has only 0.
	Database int
	// TLS is used to connect to Redis and the Sentinels; nil is plain text,
	// unless the URL says rediss.
	TLS *tls.Config

	// Prefix begins every key; "sneck:" if empty. Caches with different
	// Namespaces need different ones: a message that another namespace sealed
	// counts as forged.
	Prefix string
	// DialTimeout bounds the time to connect, with TLS and login; 1 s if
	// zero. Operations never wait longer than their context for it.
	DialTimeout time.Duration
	// MaxValueBytes bounds a value or message, in both directions; 256 KiB
	// if zero, and 1 MiB at most.
	MaxValueBytes int
	// Retention is how long the bus keeps messages for those who are cut off
	// and for those who join; 2 h if zero. The shortest of all processes
	// counts. It must not be shorter than TTL + StaleIfError of the caches,
	// as an older process may have shared an answer that a message voids.
	Retention time.Duration

	// Logger is told about lost connections; nil is silent.
	Logger *slog.Logger
}

const (
	defaultPrefix    = "sneck:"
	defaultDial      = time.Second
	defaultMaxValue  = 256 << 10
	mostMaxValue     = 1 << 20
	defaultRetention = 2 * time.Hour
	leastRetention   = time.Second
)

// Check returns every mistake in cfg, as [New] does, without connecting.
func (cfg Config) Check() error {
	_, err := cfg.options()
	return err
}

// options returns what rueidis is to do, or every mistake in cfg. It sets the
// defaults.
func (cfg *Config) options() (rueidis.ClientOption, error) {
	var errs []error
	opt := rueidis.ClientOption{}
	if cfg.URL != "" {
		var err error
		if opt, err = cfg.parseURL(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(cfg.Addresses) > 0 {
		opt.InitAddress = append([]string(nil), cfg.Addresses...)
		opt.DialCtxFn = nil
	}
	for _, address := range cfg.Addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			errs = append(errs, fmt.Errorf("redis: address %q is not host:port", address))
		}
	}
	if cfg.MasterSet != "" {
		opt.Sentinel.MasterSet = cfg.MasterSet
	}
	sentinel := opt.Sentinel.MasterSet != ""
	switch {
	case len(opt.InitAddress) == 0 && cfg.URL == "":
		errs = append(errs, errors.New("redis: Addresses and URL are missing (hint: redis://127.0.0.1:6379)"))
	case len(opt.InitAddress) > 1 && !sentinel && !cfg.Cluster:
		errs = append(errs, errors.New("redis: several Addresses, but neither Cluster nor MasterSet"))
	case sentinel && cfg.Cluster:
		errs = append(errs, errors.New("redis: both Cluster and MasterSet"))
	}
	if cfg.Username != "" || cfg.Password != "" {
		opt.Username, opt.Password = cfg.Username, cfg.Password
	}
	if opt.Username != "" && opt.Password == "" {
		errs = append(errs, errors.New("redis: Username without a Password"))
	}
	if cfg.Database != 0 {
		opt.SelectDB = cfg.Database
	}
	if opt.SelectDB < 0 || cfg.Cluster && opt.SelectDB != 0 {
		errs = append(errs, errors.New("redis: Database is not one that the server can have"))
	}
	if cfg.TLS != nil {
		opt.TLSConfig = cfg.TLS.Clone()
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"DialTimeout", cfg.DialTimeout}, {"Retention", cfg.Retention}} {
		if d.value < 0 {
			errs = append(errs, errors.New("redis: "+d.name+" is negative"))
		}
	}
	if cfg.Retention > 0 && cfg.Retention < leastRetention {
		errs = append(errs, errors.New("redis: Retention is shorter than a second"))
	}
	if cfg.MaxValueBytes < 0 || cfg.MaxValueBytes > mostMaxValue {
		errs = append(errs, errors.New("redis: MaxValueBytes is not between 0 and 1 MiB"))
	}
	cfg.setDefaults()
	cfg.tune(&opt, sentinel)
	return opt, errors.Join(errs...)
}

func (cfg *Config) setDefaults() {
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = defaultDial
	}
	if cfg.MaxValueBytes == 0 {
		cfg.MaxValueBytes = defaultMaxValue
	}
	if cfg.Retention == 0 {
		cfg.Retention = defaultRetention
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
}

// parseURL reads the URL strictly. Its errors never show it, as it may hold a
// password.
func (cfg *Config) parseURL() (rueidis.ClientOption, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return rueidis.ClientOption{}, errors.New("redis: URL can not be parsed (hint: redis://user:password@host:6379/0, with special characters percent-encoded)")
	}
	for name := range u.Query() {
		switch name {
		case "addr", "db", "master_set":
		case "cluster":
			cfg.Cluster = cfg.Cluster || u.Query().Get(name) == "true"
		default:
			return rueidis.ClientOption{}, fmt.Errorf("redis: URL has an unknown parameter %q (hint: addr, cluster, db and master_set are known)", name)
		}
	}
	opt, err := rueidis.ParseURL(cfg.URL)
	if err != nil {
		return rueidis.ClientOption{}, errors.New("redis: URL does not name a server (hint: redis://, rediss:// or unix://, and a number for the database)")
	}
	return opt, nil
}

// tune sets what this package needs of rueidis.
func (cfg *Config) tune(opt *rueidis.ClientOption, sentinel bool) {
	opt.Dialer.Timeout = cfg.DialTimeout
	opt.Dialer.KeepAlive = time.Second // also the pause between PINGs on an idle connection
	opt.ConnWriteTimeout = cfg.DialTimeout
	// Every command waits in a queue that its context can take it out of; a
	// late answer does not cost the connection.
	opt.AlwaysPipelining = true
	opt.PipelineMultiplex = -1
	opt.ReadBufferEachConn, opt.WriteBufferEachConn = 64<<10, 64<<10
	opt.DisableRetry = true // whoever asked has a better use for the time
	opt.DisableCache = true // the cache is in front of us
	opt.ForceSingleClient = !cfg.Cluster && !sentinel
	opt.ClusterOption.ShardsRefreshInterval = 10 * time.Second
	opt.ClusterOption.MaxMovedRedirections = 3
	opt.Sentinel.Dialer = opt.Dialer
	opt.Sentinel.TLSConfig = opt.TLSConfig
	opt.Sentinel.Username, opt.Sentinel.Password = cfg.SentinelUsername, cfg.SentinelPassword
	opt.Sentinel.TopologyRefreshInterval = 5 * time.Second
	limits := resp.Limits{Blob: cfg.MaxValueBytes + 64<<10, Reply: maxBatch*(cfg.MaxValueBytes+1024) + 1<<20,
		Push: sentinel, // the client subscribes to the Sentinels
	}
	inner := opt.DialCtxFn // set for unix sockets
	opt.DialCtxFn = func(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
		dial := inner
		if dial == nil {
			dial = dialTCP
		}
		conn, err := dial(ctx, address, dialer, config)
		if err != nil {
			return nil, err
		}
		return resp.Guard(conn, limits), nil
	}
}

func dialTCP(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return dialer.DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", address)
}
