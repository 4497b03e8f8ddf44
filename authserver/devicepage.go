package authserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
)

// serveDevice is where the user says which device is theirs (RFC 8628, section
// 3.3). The parameter user_code is in the query. As a link to here may come
// from anybody, an approval counts only if it is confirmed by a form, and the
// page names the client and the code.
func (s *Server) serveDevice(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	h := w.Header()
	protectPage(h)
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	if err := s.crossOrigin.Check(r); err != nil {
		s.page(w, r, nil, http.StatusForbidden, "the request came from another site", err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	form, err := readQuery(r)
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	typed := form.Get("user_code")
	if typed == "" {
		s.render(w, r, DevicePage{Step: DeviceEnter})
		return
	}
	now := s.config.Now()
	back, err := s.tryUserCode(r)
	var limited *Error
	if errors.As(err, &limited) {
		h.Set("Retry-After", seconds(limited.retryAfter))
		s.page(w, r, nil, limited.Status, "too many wrong codes were tried, wait a while", limited.Err)
		return
	}
	record, err := s.config.Store.Get(ctx, userCodeKey(typed))
	if err != nil && !errors.Is(err, ErrNotFound) {
		back()
		s.page(w, r, nil, http.StatusServiceUnavailable, "the server can not answer at the moment", err)
		return
	}
	if err != nil || record.Kind != kindUserCode || !record.Spent.IsZero() || record.ExpiredAt(now) {
		s.render(w, r, DevicePage{Step: DeviceWrong})
		return
	}
	back()
	client, err := s.config.Clients.Client(ctx, record.Client)
	if err != nil {
		s.page(w, r, nil, http.StatusServiceUnavailable, "the server can not answer at the moment", err)
		return
	}
	a := &AuthorizationRequest{
		server: s, Client: client, Scopes: record.Scopes, Audience: record.Audience, UserCode: spellUserCode(typed), Form: form,
	}
	approval, err := s.config.Login(w, r, a)
	denied := errors.Is(err, ErrAccessDenied)
	switch {
	case err != nil && !denied:
		s.page(w, r, client, http.StatusServiceUnavailable, "the server can not answer at the moment", err)
	case approval == nil && !denied:
		return // Login has answered
	case r.Method != http.MethodPost:
		s.render(w, r, DevicePage{Step: DeviceConfirm, Client: client, UserCode: a.UserCode, Scopes: record.Scopes})
	default:
		denied = denied || r.PostFormValue("deny") != ""
		s.decide(w, r, a, record, approval, denied)
	}
}

// tryUserCode counts a user code before it is looked up. An address that has to
// wait uses up nothing of what there is for all.
func (s *Server) tryUserCode(r *http.Request) (back func(), err error) {
	l := &s.limits.userCode
	var units []counted
	if from := Network(s.address(r)); from.IsValid() {
		units = append(units, counted{LimitKey{What: l.address, Address: from}, l.Address})
	}
	return s.try(r, append(units, counted{LimitKey{What: l.client}, l.Client})...)
}

// decide spends the user code and writes what the user has decided.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, a *AuthorizationRequest, user Record, approval *Approval, denied bool) {
	var device Key
	err := json.Unmarshal(user.Extra, &device)
	out := Record{
		Key: decisionKey(device), Kind: kindDecision, Family: user.Family, Client: user.Client, Scopes: user.Scopes,
		Audience: user.Audience, Issued: s.config.Now(), Expires: user.Expires,
	}
	d := decision{Denied: denied, Registered: a.Client.registered(user.Audience)}
	if err == nil && !denied {
		d.Claims, err = s.accept(r.Context(), a, approval, &out)
		d.Denied = errors.Is(err, ErrAccessDenied)
		if d.Denied {
			err = nil
		}
	}
	if err == nil {
		out.Extra, err = json.Marshal(d)
	}
	if err == nil {
		_, err = s.config.Store.Spend(r.Context(), Spend{Key: user.Key, Now: out.Issued, Yield: []Record{out}})
	}
	switch {
	case errors.Is(err, ErrSpent), errors.Is(err, ErrNotFound), errors.Is(err, ErrExpired):
		s.page(w, r, a.Client, http.StatusNotFound, "the code has expired or was used", err)
	case err != nil:
		s.page(w, r, a.Client, http.StatusServiceUnavailable, "the server can not answer at the moment", fmt.Errorf("decide over a device: %w", err))
	default:
		event := Event{
			Kind: EventDeviceApproved, Client: out.Client, Subject: out.Subject, Grant: GrantDeviceCode,
			Scopes: out.Scopes, Audience: out.Audience, Family: out.Family, Address: s.address(r),
		}
		if d.Denied {
			event.Kind, event.Scopes = EventDeviceDenied, user.Scopes
			if approval != nil {
				event.Subject = approval.Subject
			}
		}
		if err := s.observe(r.Context(), event); err != nil {
			s.page(w, r, a.Client, http.StatusServiceUnavailable, "the server can not answer at the moment", err)
			return
		}
		if d.Denied {
			s.render(w, r, DevicePage{Step: DeviceRefused})
			return
		}
		s.render(w, r, DevicePage{Step: DeviceConnected})
	}
}

func (s *Server) render(w http.ResponseWriter, r *http.Request, p DevicePage) {
	if s.config.Pages.Device != nil {
		s.config.Pages.Device(w, r, p)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if p.Step == DeviceWrong {
		w.WriteHeader(http.StatusNotFound)
	}
	_ = deviceTemplate.Execute(w, p) // a browser that is gone needs no answer
}

var deviceTemplate = template.Must(template.New("device").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Connect a device</title><style>body{font:1.1em sans-serif;max-width:30em;margin:3em auto;padding:0 1em}</style>
<h1>Connect a device</h1>
{{if eq .Step 3 4}}<p>{{if eq .Step 4}}The device was refused.{{else}}The device is connected.{{end}} You may close this page.</p>
{{else if eq .Step 0 1}}{{if eq .Step 1}}<p role="alert">This code is not valid any more.</p>{{end}}
<form method="get"><label>Code on your device <input name="user_code" autocomplete="off" autofocus required></label> <button>Continue</button></form>
{{else}}<p><b>{{or .Client.Name .Client.ID}}</b> wants access: {{range $i, $s := .Scopes}}{{if $i}}, {{end}}{{$s}}{{end}}.</p>
<p>Does your device show the code <b>{{.UserCode}}</b>? If you did not start this yourself, refuse.</p>
<form method="post"><button name="approve" value="1">Approve</button> <button name="deny" value="1">Refuse</button></form>
{{end}}</html>
`))
