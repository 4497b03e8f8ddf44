package introspect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sneckauth/sneck/internal/strictjson"
)

const (
	maxMetadataBytes = 256 << 10
	fetchTimeout     = 5 * time.Second
	metadataAge      = time.Hour
	// What is known is better than nothing, for as long as nothing newer can
	// be found out.
	forEver = 100 * 365 * 24 * time.Hour
)

// metadata is what an authority says about itself (RFC 8414, section 2).
type metadata struct {
	Issuer     string `json:"issuer"`
	Introspect string `json:"introspection_endpoint"`
	JWKS       string `json:"jwks_uri"`
	Aliases    struct {
		Introspect string `json:"introspection_endpoint"`
	} `json:"mtls_endpoint_aliases"` // RFC 8705, section 5
}

// An authority is where to ask and where its keys are.
type authority struct {
	endpoints []*endpoint
	jwks      string
}

// wellKnown returns the addresses of the metadata of an issuer: that of RFC
// 8414, section 3.1, and that of OpenID Connect Discovery, section 4.1.
func wellKnown(issuer *url.URL) []string {
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	host := issuer.Scheme + "://" + issuer.Host
	return []string{
		host + "/.well-known/oauth-authorization-server" + path,
		host + path + "/.well-known/openid-configuration",
	}
}

// discover fetches the metadata of the issuer.
func (c *Client) discover(ctx context.Context) (aged[authority], error) {
	issuer, err := parseURL(c.cfg.Issuer, c.cfg.InsecureHTTP)
	if err != nil {
		return aged[authority]{}, err
	}
	for _, at := range wellKnown(issuer) {
		var found authority
		if found, err = c.discoverAt(ctx, at); err == nil {
			now := c.now()
			return aged[authority]{found, now.Add(metadataAge*9/10 + rand.N(metadataAge/5)), now.Add(forEver)}, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	if n := c.discoveryAlarm.ring(c.now()); n > 0 {
		c.log.WarnContext(ctx, "introspect: the metadata of the authority could not be fetched", "authority", issuer.Host, "error", err, "times", n)
	}
	return aged[authority]{}, err
}

func (c *Client) discoverAt(ctx context.Context, at string) (authority, error) {
	body, err := c.fetcher.get(ctx, at, "the metadata of the authority", maxMetadataBytes)
	if err != nil {
		return authority{}, err
	}
	var m metadata
	if strictjson.Unmarshal(body, &m) != nil {
		return authority{}, &exchangeError{"the metadata of the authority could not be understood", nil}
	}
	// Metadata that anybody could have put there are not the issuer's (RFC
	// 8414, section 3.3).
	if m.Issuer != c.cfg.Issuer {
		return authority{}, &exchangeError{fmt.Sprintf("the metadata are of another issuer than %s (hint: Config.Issuer must be equal to the last letter)", c.cfg.Issuer), nil}
	}
	if _, ok := c.cfg.Credential.(mtls); ok && m.Aliases.Introspect != "" {
		m.Introspect = m.Aliases.Introspect
	}
	found := authority{jwks: m.JWKS, endpoints: c.static}
	if len(c.static) > 0 {
		return found, nil
	}
	u, err := parseURL(m.Introspect, c.cfg.InsecureHTTP)
	if err != nil {
		return authority{}, &exchangeError{"the metadata of the authority name no introspection endpoint that could be used", nil}
	}
	found.endpoints = c.known(u)
	return found, nil
}

// known returns the endpoint that was discovered before, whose health is
// known, if it is still the same. Only one discovery runs at a time.
func (c *Client) known(u *url.URL) []*endpoint {
	if text := u.String(); len(c.discovered) == 0 || c.discovered[0].text != text {
		c.discovered = []*endpoint{newEndpoint(u, c.cfg.breakAfter())}
	}
	return c.discovered
}

// where returns the endpoints to ask.
func (c *Client) where(ctx context.Context) ([]*endpoint, error) {
	if len(c.static) > 0 {
		return c.static, nil
	}
	found, err := c.authority.get(ctx)
	return found.endpoints, err
}

// get fetches a JSON document. what names it in errors.
func (f fetcher) get(ctx context.Context, at, what string, limit int64) ([]byte, error) {
	header := http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"identity"}}
	response, body, err := f.do(ctx, at, header, nil, limit)
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, &exchangeError{fmt.Sprintf("status %d instead of %s", response.StatusCode, what), nil}
	case !mediaType(response, "application/json") && !mediaType(response, "application/jwk-set+json"):
		return nil, &exchangeError{what + " are not of type application/json", nil}
	}
	return body, nil
}
