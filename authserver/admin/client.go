package admin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// A Client is what is registered of a client.
type Client struct {
	// ID is the client identifier.
	ID string `json:"client_id"`
	ClientSettings
	// Public says that it does not authenticate.
	Public bool `json:"public"`
	// Secrets are those that it has, without themselves.
	Secrets []Secret `json:"secrets"`
	// SecretsEnded is how many secrets a change has ended, as the client does
	// not authenticate by any now; zero in any other answer.
	SecretsEnded int `json:"secrets_ended,omitempty"`
	// Version names this state of the client, for those who change it.
	Version string `json:"version"`
	// Secret is the secret that was made with the client, or by a change of how
	// it authenticates; empty in any other answer.
	Secret string `json:"client_secret,omitempty"`
}

// A NewClient is a client that is to be registered.
type NewClient struct {
	// ID is made up if it is empty.
	ID string `json:"client_id,omitempty"`
	ClientSettings
	// Public registers it without a secret, as the method "none" does. One that
	// authenticates by keys or certificates gets none in any case.
	Public bool `json:"public,omitempty"`
}

func (o *Operations) view(c *authserver.Client) *Client {
	v := &Client{ID: c.ID, ClientSettings: settingsOf(c), Public: c.Public(), Secrets: []Secret{}, Version: version(c)}
	now := o.config.Now()
	for _, s := range c.Secrets {
		v.Secrets = append(v.Secrets, secretOf(s, now))
	}
	return v
}

// version names the state of a client.
func version(c *authserver.Client) string {
	plain := *c
	// Keys are kept as JSON, but not always in the same way of writing.
	var keys any
	if json.Unmarshal(c.JWKS, &keys) == nil {
		plain.JWKS, _ = json.Marshal(keys) // it was JSON
	}
	data, err := json.Marshal(plain)
	if err != nil {
		return "" // it has no JSON, so it has not been in a store
	}
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

// Client returns a client, or ErrNotFound.
func (o *Operations) Client(ctx context.Context, id string) (*Client, error) {
	c, err := o.client(ctx, id)
	if err != nil {
		return nil, err
	}
	return o.view(c), nil
}

func (o *Operations) client(ctx context.Context, id string) (*authserver.Client, error) {
	c, err := o.config.Clients.Client(ctx, id)
	if errors.Is(err, authserver.ErrNotFound) {
		return nil, refuse(ErrNotFound, "there is no client %q (hint: list the clients)", id)
	}
	if err != nil {
		return nil, fmt.Errorf("admin: look up a client: %w", err)
	}
	return c, nil
}

// maxLooks is how many records a list looks at before it returns what it has.
const maxLooks = 5000

// Clients returns up to limit clients, in the order of their IDs, whose ID,
// name or scope contains the text, and what to begin the next page after; empty
// if there are no more. It looks at a bounded number of clients, so there may
// be fewer than limit, or none, and more to come.
func (o *Operations) Clients(ctx context.Context, text, after string, limit int) (page []*Client, next string, err error) {
	page, limit, text = []*Client{}, pageSize(limit), strings.ToLower(text)
	for looked := 0; looked < maxLooks; looked += MaxPage {
		list, err := o.config.Clients.ListClients(ctx, after, MaxPage)
		if err != nil {
			return nil, "", fmt.Errorf("admin: list clients: %w", err)
		}
		for i, c := range list {
			after = c.ID
			if !strings.Contains(strings.ToLower(c.ID+"\n"+c.Name+"\n"+c.Scopes.String()), text) {
				continue
			}
			if page = append(page, o.view(c)); len(page) < limit {
				continue
			}
			if i == len(list)-1 && len(list) < MaxPage {
				after = ""
			}
			return page, after, nil
		}
		if len(list) < MaxPage {
			return page, "", nil
		}
	}
	return page, after, nil
}

// CreateClient registers a client, and returns it with its secret. It returns
// ErrExists if the ID is taken, ErrInvalid with all mistakes, and ErrTakenBack
// if it is not on record.
func (o *Operations) CreateClient(ctx context.Context, n NewClient) (*Client, error) {
	c := authserver.Client{ID: n.ID}
	if err := n.apply(&c); err != nil {
		return nil, err
	}
	complete, secret, err := o.config.Server.NewClient(ctx, c, !n.Public && usesSecret(n.AuthMethod))
	if err != nil {
		return nil, clientError(err)
	}
	switch err := o.config.Clients.CreateClient(ctx, complete); {
	case errors.Is(err, authserver.ErrExists):
		return nil, refuse(ErrExists, "client %q exists already (hint: choose another ID, or delete it first)", complete.ID)
	case err != nil:
		return nil, fmt.Errorf("admin: register a client: %w", err)
	}
	v := o.view(complete)
	v.Secret = secret
	err = o.report(ctx, authserver.Event{Kind: authserver.EventClientCreated, Client: complete.ID, Scopes: complete.Scopes})
	if err == nil {
		return v, nil
	}
	// Nobody has its secret yet, so it can go without harm.
	if err = takenBack(err, o.config.Clients.DeleteClient(context.WithoutCancel(ctx), complete.ID)); errors.Is(err, ErrTakenBack) {
		v = nil
	}
	return v, err
}

// clientError tells a mistake in a client from that it could not be checked.
func clientError(err error) error {
	var failed *authserver.Error
	if errors.As(err, &failed) && failed.Status == http.StatusServiceUnavailable {
		return fmt.Errorf("admin: check a client: %w", err)
	}
	return invalid(err)
}

// ChangeClient replaces the settings of a client. Unless version is empty, it
// must be that of the client as it is, else nothing is done and the error is
// ErrChanged. Secrets stay as they are, unless the client authenticates by
// something else then: they end with the change, at once, and what was issued
// lives on.
//
// A client without secrets gets one if the settings name a method that needs
// it, and loses its keys and the name of its certificate. The secret is in the
// result.
func (o *Operations) ChangeClient(ctx context.Context, id, version string, s ClientSettings) (*Client, error) {
	secret := ""
	changed, err := o.change(ctx, id, version, "", func(c *authserver.Client) error {
		before := *c
		if err := s.apply(c); err != nil {
			return err
		}
		switch {
		case len(c.Secrets) > 0 || !usesSecret(s.AuthMethod):
			return nil
		case s.AuthMethod == "" && before.Public():
			return nil
		case s.AuthMethod == "": // which may have been left out by mistake
			return refuse(ErrInvalid, "client %q has no secret to authenticate by (hint: client_secret_basic makes one, and %s makes it public)", id, methodNone)
		}
		// Nobody should believe that these are still of use.
		c.JWKS, c.JWKSURI, c.Certificate = nil, "", authserver.ClientCertificate{}
		if c.AuthAlgorithm == before.AuthAlgorithm {
			c.AuthAlgorithm = ""
		}
		complete, plain, err := o.config.Server.NewClient(ctx, *c, true)
		if err != nil {
			return clientError(err)
		}
		*c, secret = *complete, plain
		return nil
	})
	if changed != nil {
		changed.Secret = secret
	}
	return changed, err
}

// change has edit change a copy of a client, checks it and writes it. Edit is
// called again if somebody else was faster.
func (o *Operations) change(ctx context.Context, id, expected, reason string, edit func(*authserver.Client) error) (*Client, error) {
	o.writing.Lock()
	defer o.writing.Unlock()
	before, err := o.client(ctx, id)
	if err != nil {
		return nil, err
	}
	for {
		if expected != "" && version(before) != expected {
			return nil, refuse(ErrChanged, "client %q has changed since it was read (hint: read it again)", id)
		}
		changed := *before
		if err := edit(&changed); err != nil {
			return nil, err
		}
		complete, _, err := o.config.Server.NewClient(ctx, changed, false)
		if err != nil {
			return nil, clientError(err)
		}
		now, err := o.replace(ctx, before, complete)
		switch {
		case errors.Is(err, authserver.ErrNotFound):
			return nil, refuse(ErrNotFound, "there is no client %q any more (hint: list the clients)", id)
		case err != nil:
			return nil, fmt.Errorf("admin: write a client: %w", err)
		case now != nil:
			before = now
			continue
		}
		v := o.view(complete)
		if len(complete.Secrets) == 0 {
			v.SecretsEnded = len(before.Secrets)
		}
		switch {
		case v.SecretsEnded > 0:
			reason = "secrets ended"
		case len(before.Secrets) == 0 && len(complete.Secrets) > 0:
			reason = "secret added"
		}
		return v, o.record(ctx, authserver.Event{
			Kind: authserver.EventClientChanged, Client: id, Scopes: complete.Scopes, Reason: reason,
		})
	}
}

// replace writes a client, unless it is another than it was before. Then it
// returns the other.
func (o *Operations) replace(ctx context.Context, before, after *authserver.Client) (now *authserver.Client, err error) {
	changer, ok := o.config.Clients.(authserver.ClientChanger)
	if !ok {
		return nil, o.config.Clients.PutClient(ctx, after)
	}
	err = changer.ChangeClient(ctx, before.ID, func(c *authserver.Client) (*authserver.Client, error) {
		if version(c) != version(before) {
			now = c
			return nil, errFaster
		}
		return after, nil
	})
	if errors.Is(err, errFaster) {
		return now, nil
	}
	return nil, err
}

// errFaster means that somebody else has changed a client first.
var errFaster = errors.New("admin: somebody else was faster")

// DeleteClient deletes a client and revokes everything that was issued to it.
// It returns how many records that were.
func (o *Operations) DeleteClient(ctx context.Context, id string) (revoked int64, err error) {
	o.writing.Lock()
	defer o.writing.Unlock()
	if _, err := o.client(ctx, id); err != nil {
		return 0, err
	}
	// First the client, so that nothing more is issued to it.
	if err := o.config.Clients.DeleteClient(ctx, id); err != nil {
		return 0, fmt.Errorf("admin: delete a client: %w", err)
	}
	revoked, err = o.config.Store.Revoke(ctx, authserver.Selector{Client: id})
	if err != nil {
		err = fmt.Errorf("admin: the client is deleted, but what was issued to it is not revoked (hint: revoke its tokens): %w", err)
	}
	return revoked, errors.Join(err, o.record(ctx, authserver.Event{Kind: authserver.EventClientDeleted, Client: id, Count: revoked}))
}

// expires refuses what is no moment in the future.
func (o *Operations) expires(at time.Time) error {
	if !at.IsZero() && !at.After(o.config.Now()) {
		return refuse(ErrInvalid, "%s is over (hint: a later time, or none)", at.UTC().Format(time.RFC3339))
	}
	return nil
}
