package introspect

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A Credential proves to the authority who is asking (RFC 7662, section 2.1).
//
// Sign adds to the header or the form of a request that is complete but for
// the proof. It is called once for every try, must be safe for concurrent
// use, must return soon after ctx is done, and must not keep r. If it fails,
// the request is not sent.
type Credential interface {
	Sign(ctx context.Context, r *Request) error
}

// A Request is an outgoing request that a [Credential] signs.
type Request struct {
	// Issuer is the issuer identifier of the authority, the audience of an
	// assertion; empty if it is not configured.
	Issuer string
	// URL is the endpoint that the request goes to.
	URL string
	// Header is sent as it is.
	Header http.Header
	// Form is the body. It holds the token.
	Form url.Values
	// Refused is the value of the Authorization header that the authority
	// has just refused in an earlier try of this request, or empty. A
	// credential that can be renewed is renewed now, unless that has already
	// happened; one that can not ignores it.
	Refused string
}

// Basic is an HTTP Basic credential whose parts are form-encoded first, as
// OAuth demands (client_secret_basic; RFC 6749, section 2.3.1).
func Basic(id, secret string) Credential {
	return &static{kind: "Basic", id: id, secret: secret, header: basic(url.QueryEscape(id), url.QueryEscape(secret))}
}

// BasicRaw is an HTTP Basic credential whose parts are sent as they are, for
// an authority that does not decode them. It differs from [Basic] only if one
// of them has other characters than letters, digits, "-", "_" and ".".
func BasicRaw(id, secret string) Credential {
	c := &static{kind: "BasicRaw", id: id, secret: secret, header: basic(id, secret)}
	if strings.Contains(id, ":") {
		c.err = errors.New("introspect: BasicRaw: the id must not have a colon (hint: use Basic)")
	}
	return c
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Post is a credential in the form (client_secret_post; RFC 6749, section
// 2.3.1), for an authority that does not take [Basic].
func Post(id, secret string) Credential {
	return &static{kind: "Post", id: id, secret: secret, form: true}
}

// Bearer is an access token that lets its holder introspect (RFC 7662,
// section 2.1). See [Rotating] for one that changes and [ClientCredentials]
// for one that is obtained and renewed.
func Bearer(token string) Credential {
	c := &static{kind: "Bearer", id: "-", secret: token, header: "Bearer " + token}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		c.err = errors.New("introspect: Bearer: the token has characters that no header can have (hint: is there a line end in it?)")
	}
	return c
}

// A static credential is the same for every request.
type static struct {
	kind, id, secret string
	header           string // of Authorization
	form             bool
	err              error
}

func (c *static) Sign(_ context.Context, r *Request) error {
	if c.form {
		r.Form["client_id"] = []string{c.id}
		r.Form["client_secret"] = []string{c.secret}
		return nil
	}
	r.Header["Authorization"] = []string{c.header}
	return nil
}

func (c *static) check(*Config) error {
	var errs []error
	if c.id == "" {
		errs = append(errs, fmt.Errorf("introspect: %s: the id is empty (hint: that of this API, as the authorization server knows it)", c.kind))
	}
	if c.secret == "" {
		errs = append(errs, fmt.Errorf("introspect: %s: the secret is empty (hint: that of the id; is the variable set?)", c.kind))
	}
	return errors.Join(append(errs, c.err)...)
}

// String hides the secret from careless printing.
func (c *static) String() string { return "introspect." + c.kind + "(…)" }

// GoString is String.
func (c *static) GoString() string { return c.String() }
