package introspect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/strictjson"
)

// A TokenRequest says how an access token of our own is obtained by the client
// credentials grant (RFC 6749, section 4.4). Endpoint and Credential are
// required.
type TokenRequest struct {
	// Endpoint is the URL of the token endpoint.
	Endpoint string
	// Issuer is the issuer identifier of the authority, which
	// [PrivateKeyJWT] needs.
	Issuer string
	// Credential proves to the token endpoint who is asking.
	Credential Credential
	// Scope is sent if it is set, and Parameters are added, such as
	// "resource" (RFC 8707).
	Scope      string
	Parameters url.Values
	// Timeout bounds one request; 5 s if zero.
	Timeout time.Duration
	// TLS, Transport and InsecureHTTP are as in [Config].
	TLS          *tls.Config
	Transport    http.RoundTripper
	InsecureHTTP bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// ClientCredentials is a credential that is an access token of our own. It is
// obtained when it is first needed, by one request however many wait for it,
// again after three quarters of its life without anybody's waiting, and at
// once if the authority refuses it with 401. Mistakes in r are reported by
// [New].
func ClientCredentials(r TokenRequest) Credential {
	c := &clientCredentials{request: r, now: r.Now}
	if c.now == nil {
		c.now = time.Now
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	transport := r.Transport
	if transport == nil {
		transport = newTransport(r.TLS, 2)
	}
	c.fetcher = newFetcher(transport)
	c.token = fresh[string]{fetch: c.obtain, timeout: timeout, settle: time.Second, now: c.now}
	return c
}

type clientCredentials struct {
	request TokenRequest
	now     func() time.Time
	fetcher fetcher
	token   fresh[string] // value of the Authorization header
}

func (c *clientCredentials) Sign(ctx context.Context, r *Request) error {
	get := c.token.get
	if r.Refused != "" {
		get = func(ctx context.Context) (string, error) {
			return c.token.renew(ctx, func(have string) bool { return have == r.Refused })
		}
	}
	authorization, err := get(ctx)
	if err != nil {
		return fmt.Errorf("introspect: no access token of our own: %w", err)
	}
	r.Header["Authorization"] = []string{authorization}
	return nil
}

func (c *clientCredentials) check(*Config) error {
	var errs []error
	r := &c.request
	if _, err := parseURL(r.Endpoint, r.InsecureHTTP); err != nil {
		errs = append(errs, fmt.Errorf("introspect: TokenRequest.Endpoint %w", err))
	}
	if r.Credential == nil {
		errs = append(errs, errors.New("introspect: TokenRequest.Credential is missing"))
	} else if inner, ok := r.Credential.(checker); ok {
		errs = append(errs, inner.check(&Config{Issuer: r.Issuer, TLS: r.TLS, Transport: r.Transport}))
	}
	if r.Timeout < 0 {
		errs = append(errs, errors.New("introspect: TokenRequest.Timeout is negative"))
	}
	if r.TLS != nil && r.Transport != nil {
		errs = append(errs, errors.New("introspect: TokenRequest.TLS has no effect on its Transport (hint: set only one)"))
	}
	return errors.Join(errs...)
}

// lifetime is assumed of a token whose answer states none.
const lifetime = 5 * time.Minute

func (c *clientCredentials) obtain(ctx context.Context) (aged[string], error) {
	asked := c.now()
	form := cloneValues(c.request.Parameters)
	if form == nil {
		form = url.Values{}
	}
	form.Set("grant_type", "client_credentials")
	if c.request.Scope != "" {
		form.Set("scope", c.request.Scope)
	}
	r := Request{Issuer: c.request.Issuer, URL: c.request.Endpoint, Form: form, Header: http.Header{
		"Accept":          {"application/json"},
		"Accept-Encoding": {"identity"},
		"Content-Type":    {"application/x-www-form-urlencoded"},
	}}
	if err := c.request.Credential.Sign(ctx, &r); err != nil {
		return aged[string]{}, err
	}
	response, body, err := c.fetcher.do(ctx, r.URL, r.Header, []byte(r.Form.Encode()), maxAnswerBytes)
	switch {
	case err != nil:
		return aged[string]{}, err
	case response.StatusCode == http.StatusUnauthorized, response.StatusCode == http.StatusForbidden,
		response.StatusCode == http.StatusBadRequest && refusesClient(errorCode(response, body)):
		return aged[string]{}, fmt.Errorf("%w: the token endpoint answered with status %d", ErrCredentials, response.StatusCode)
	case response.StatusCode != http.StatusOK:
		return aged[string]{}, &exchangeError{fmt.Sprintf("the token endpoint answered with status %d", response.StatusCode), nil}
	case !mediaType(response, "application/json"):
		return aged[string]{}, errTokenAnswer
	}
	return readTokenAnswer(body, asked)
}

var errTokenAnswer = &exchangeError{"the token endpoint answered with no bearer token", nil}

// readTokenAnswer reads a token response (RFC 6749, section 5.1).
func readTokenAnswer(body []byte, asked time.Time) (aged[string], error) {
	var answer struct {
		AccessToken string         `json:"access_token"`
		TokenType   string         `json:"token_type"`
		ExpiresIn   jsontext.Value `json:"expires_in"`
	}
	if strictjson.Unmarshal(body, &answer) != nil || !sneck.ValidToken(answer.AccessToken) || !strings.EqualFold(answer.TokenType, "Bearer") {
		return aged[string]{}, errTokenAnswer
	}
	life := lifetime
	if !absent(answer.ExpiresIn) {
		var m members
		seconds := m.seconds("expires_in", answer.ExpiresIn)
		if m.fault != "" || seconds <= 0 {
			return aged[string]{}, errTokenAnswer
		}
		life = time.Duration(min(seconds, 365*24*3600) * float64(time.Second))
	}
	return aged[string]{
		value: "Bearer " + answer.AccessToken,
		soft:  asked.Add(life * 3 / 4),
		hard:  asked.Add(life - min(life/10, 10*time.Second)),
	}, nil
}

// String hides the token from careless printing.
func (c *clientCredentials) String() string { return "introspect.ClientCredentials(…)" }

// GoString is String.
func (c *clientCredentials) GoString() string { return c.String() }
