package authserver

import (
	"context"
	"net/http"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// Pages replaces the plain pages that the server has of its own, besides what
// the Login shows. Each may be nil. The headers that they find set keep them
// out of frames and caches; they may set stricter ones.
type Pages struct {
	// Error tells the user what is wrong where no client can be told.
	Error func(w http.ResponseWriter, r *http.Request, e PageError)
	// Device shows one page of the device flow (RFC 8628, section 3.3).
	Device func(w http.ResponseWriter, r *http.Request, p DevicePage)
	// Return takes the browser back to the client after a form was sent:
	// location is the redirect URI with the answer in it. If nil, that is done
	// with status 303. A form on a page with the directive form-action needs
	// another way, because browsers apply that to all redirects that follow.
	Return func(w http.ResponseWriter, r *http.Request, location string)
}

// A PageError is what a user has to be told.
type PageError struct {
	// Status is the HTTP status to answer with.
	Status int
	// Text is a constant text in English without a stop, such as "the client
	// is not known". It repeats nothing of the request.
	Text string
	// Client is who asked, or nil if that is not known.
	Client *Client
}

// A DevicePage is one of the pages that a user sees who connects a device.
type DevicePage struct {
	Step DeviceStep
	// Client is the device's, for DeviceConfirm.
	Client *Client
	// UserCode is what the device shows, for DeviceConfirm.
	UserCode string
	// Scopes is what the device asks for, for DeviceConfirm.
	Scopes scopes.Set
}

// A DeviceStep says which page of the device flow comes next.
type DeviceStep int

const (
	// DeviceEnter asks for the code: a form with the method GET and the field
	// "user_code".
	DeviceEnter DeviceStep = iota
	// DeviceWrong asks again: the code is not valid, or not any more. The
	// status is 404.
	DeviceWrong
	// DeviceConfirm asks for approval, if the Login did not do so with a page
	// of its own: a form with the method POST, and the field "deny" to refuse.
	DeviceConfirm
	// DeviceConnected and DeviceRefused say what was decided.
	DeviceConnected
	DeviceRefused
)

// Until returns when everything that an approval can yield has ended, if it
// is given now and nothing is revoked; the zero time for never.
func (a *AuthorizationRequest) Until(ctx context.Context) time.Time {
	s := a.server
	ttl := s.ttl(ctx, &TokenRequest{GrantType: a.grantType(), Client: a.Client, Scopes: a.Scopes, Audience: a.Audience})
	if s.refreshes(a.Client) && !a.implicit {
		// The last access token may be issued just before the end.
		if s.config.RefreshTokenTTL == Never {
			return time.Time{}
		}
		ttl += s.config.RefreshTokenTTL
	}
	return s.config.Now().Add(ttl)
}

// DescribedScopes returns what is asked for, in the order and with the texts
// of the scope backend. A scope that it has no text for has an empty one.
func (a *AuthorizationRequest) DescribedScopes(ctx context.Context) ([]scopes.Described, error) {
	all, err := a.server.config.Scopes.All(ctx)
	if err != nil {
		return nil, err
	}
	var list []scopes.Described
	var known scopes.Set
	for _, d := range all {
		if a.Scopes.Has(d.Name) {
			list, known = append(list, d), append(known, d.Name)
		}
	}
	for _, name := range a.Scopes.Without(known) {
		list = append(list, scopes.Described{Name: name})
	}
	return list, nil
}

// Required returns the scopes that an approval can not leave out.
func (a *AuthorizationRequest) Required() scopes.Set {
	return intersect(a.Scopes, a.Client.RequiredScopes)
}

// grantType returns the grant type that the request is the first step of.
func (a *AuthorizationRequest) grantType() string {
	switch {
	case a.UserCode != "":
		return GrantDeviceCode
	case a.implicit:
		return GrantImplicit
	}
	return GrantAuthorizationCode
}
