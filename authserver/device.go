package authserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// GrantDeviceCode is the grant type of devices without a browser (RFC 8628).
const GrantDeviceCode = "urn:ietf:params:oauth:grant-type:device_code"

// The records of the device flow. A device code and a user code are made
// together; the user code is spent when the user has decided, which yields a
// decision; the device code is spent when the device has seen that.
const (
	kindDevice   Kind = "device"
	kindUserCode Kind = "user_code"
	kindDecision Kind = "decision"

	devicePrefix = "sneck_dc_"
)

// A deviceAnswer tells the device what to show (RFC 8628, section 3.2).
type deviceAnswer struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URI        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int64  `json:"expires_in"`
	Interval   int64  `json:"interval"`
}

func (s *Server) serveDeviceAuthorization(w http.ResponseWriter, r *http.Request, form Form) (*Client, error) {
	ctx := r.Context()
	client, err := s.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if !client.MayUse(GrantDeviceCode) {
		return client, &Error{Code: codeUnauthorizedClient, Description: "the client may not use this grant type"}
	}
	if err := s.limitClient(r, &s.limits.device, client); err != nil {
		return client, err
	}
	audience, err := s.audience(client, form.Resources())
	if err != nil {
		return client, err
	}
	granted, err := s.grantScopes(ctx, client, form.Get("scope"), scopes.Request{
		ClientID: client.ID, GrantType: GrantDeviceCode, Audience: audience,
	})
	if err != nil {
		return client, err
	}
	now := s.config.Now()
	device := Record{
		Kind: kindDevice, Family: string(appendRandom(nil, familyLen)), Client: client.ID,
		Scopes: granted, Audience: audience, Issued: now, Expires: now.Add(s.config.DeviceCodeTTL),
	}
	for range maxAttempts {
		code, userCode := mint(devicePrefix), newUserCode()
		device.Key, device.Random = KeyOf(code), true
		user := device
		user.Key, user.Random, user.Kind = userCodeKey(userCode), false, kindUserCode
		if user.Extra, err = json.Marshal(device.Key); err != nil {
			return client, err
		}
		err = s.config.Store.Create(ctx, device, user)
		if errors.Is(err, ErrExists) {
			continue
		}
		if err != nil {
			return client, unavailable(fmt.Errorf("store a device code: %w", err))
		}
		err = s.observe(ctx, Event{
			Kind: EventDeviceRequested, Client: client.ID, Grant: GrantDeviceCode,
			Scopes: granted, Audience: audience, Family: device.Family, Address: s.address(r),
		})
		if err != nil {
			return client, err
		}
		uri := s.config.Issuer + pathDevice
		return client, answer(w, http.StatusOK, deviceAnswer{
			DeviceCode: code, UserCode: userCode, URI: uri,
			Complete:  uri + "?" + url.Values{"user_code": {userCode}}.Encode(),
			ExpiresIn: int64(s.config.DeviceCodeTTL / time.Second), Interval: int64(pollInterval / time.Second),
		})
	}
	return client, unavailable(errors.New("too many user codes are in use"))
}

// userCodeLetters spell no words, and none is taken for another (RFC 8628,
// section 6.1).
const userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"

// newUserCode returns 8 letters with 34 random bits. That is little, so guesses
// are limited.
func newUserCode() string {
	var letters [8]byte
	for i := 0; i < len(letters); {
		var b [1]byte
		rand.Read(b[:]) // never fails
		if n := len(userCodeLetters); int(b[0]) < 256/n*n {
			letters[i] = userCodeLetters[int(b[0])%n]
			i++
		}
	}
	return string(letters[:4]) + "-" + string(letters[4:])
}

// lettersOf returns the letters of a user code as a user may have typed it.
func lettersOf(typed string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(userCodeLetters, r) {
			return r
		}
		return -1
	}, strings.ToUpper(typed))
}

// userCodeKey returns the key of a user code as a user may have typed it.
func userCodeKey(typed string) Key { return KeyOf("user code " + lettersOf(typed)) }

// spellUserCode returns a valid user code as the device shows it.
func spellUserCode(typed string) string {
	letters := lettersOf(typed)
	return letters[:4] + "-" + letters[4:]
}

func decisionKey(device Key) Key { return KeyOf("decision about " + hex.EncodeToString(device[:])) }

// A decision is what the record of one keeps besides.
type decision struct {
	Denied bool            `json:"denied,omitempty"`
	Claims json.RawMessage `json:"claims,omitempty"`
	// Registered is as that of a refreshExtra.
	Registered []string `json:"registered,omitempty"`
}

// DeviceCode is the grant of a device that waits for a user to decide on
// another one (RFC 8628, section 3.4).
func DeviceCode() Grant { return Grant{Type: GrantDeviceCode, Public: true, Handle: handleDeviceCode} }

func handleDeviceCode(ctx context.Context, r *GrantRequest) (*Issue, error) {
	s := r.server
	code := r.Form.Get("device_code")
	if code == "" {
		return nil, invalidRequest("device_code is missing")
	}
	if !minted(devicePrefix, code) {
		return nil, invalidGrant(ErrNotFound)
	}
	// The decision first: when reuse revokes all that belongs to the code, the
	// record of the code, which is read later, is gone as well, and nobody is
	// told to wait for a decision that was there.
	decided, undecided := s.config.Store.Get(ctx, decisionKey(KeyOf(code)))
	record, err := r.present(ctx, code, kindDevice, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	now := s.config.Now()
	if !record.Spent.IsZero() {
		if err := r.reused(ctx, record); err != nil {
			return nil, unavailable(err)
		}
		return nil, invalidGrant(ErrSpent)
	}
	if record.ExpiredAt(now) {
		return nil, &Error{Code: "expired_token", Description: "the device code has expired"}
	}
	if errors.Is(undecided, ErrNotFound) {
		if s.polls.tooFast(record.Key, now) {
			return nil, &Error{Code: "slow_down", Description: "wait five seconds longer between two requests"}
		}
		return nil, &Error{Code: "authorization_pending", Description: "the user has not decided yet"}
	}
	if undecided != nil {
		return nil, unavailable(fmt.Errorf("ask the store: %w", undecided))
	}
	var d decision
	if err := json.Unmarshal(decided.Extra, &d); err != nil {
		return nil, fmt.Errorf("the record of a decision is damaged: %w", err)
	}
	if d.Denied {
		return nil, &Error{Code: codeAccessDenied, Description: "the user does not approve"}
	}
	return &Issue{
		Subject: decided.Subject, Scopes: decided.Scopes, Audience: decided.Audience, Claims: d.Claims, Family: record.Family,
		Refresh: true, Spend: &Spend{Key: record.Key}, Reused: r.reused, registered: d.Registered,
	}, nil
}

// polls remembers when devices have asked, as far as this process has seen.
type polls struct {
	mu   sync.Mutex
	seen map[Key]poll
}

type poll struct {
	last     time.Time
	interval time.Duration
}

const (
	pollInterval = 5 * time.Second
	maxPolls     = 10000
)

// tooFast reports whether the device has asked before the interval was over,
// and if so makes that five seconds longer (RFC 8628, section 3.5).
func (p *polls) tooFast(device Key, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.seen[device]
	if p.seen == nil || !known && len(p.seen) >= maxPolls {
		p.seen = map[Key]poll{} // who is forgotten may ask once more
	}
	next := poll{now, pollInterval}
	// A second is for the network.
	fast := known && now.Sub(before.last) < before.interval-time.Second
	if known {
		next.interval = before.interval
	}
	if fast {
		next.interval += pollInterval
	}
	p.seen[device] = next
	return fast
}
