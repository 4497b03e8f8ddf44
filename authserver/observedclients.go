package authserver

import (
	"context"
	"errors"
	"time"
)

// ObserveClients returns a registry that does what r does, and tells observe
// of every client that is created, changed or deleted. An error of observe is
// returned after the change has been made. It is a [ClientChanger] and a
// [SecretUpgrader] if r is.
func ObserveClients(r ClientRegistry, observe func(context.Context, Event) error) ClientRegistry {
	observed := observedClients{r, observe}
	changer, changes := r.(ClientChanger)
	upgrader, upgrades := r.(SecretUpgrader)
	switch {
	case changes && upgrades:
		return struct {
			observedChanger
			SecretUpgrader
		}{observedChanger{observed, changer}, upgrader}
	case changes:
		return observedChanger{observed, changer}
	case upgrades:
		return struct {
			observedClients
			SecretUpgrader
		}{observed, upgrader}
	}
	return observed
}

type observedClients struct {
	ClientRegistry
	observe func(context.Context, Event) error
}

func (o observedClients) CreateClient(ctx context.Context, c *Client) error {
	if err := o.ClientRegistry.CreateClient(ctx, c); err != nil {
		return err
	}
	return o.observe(ctx, Event{Kind: EventClientCreated, Time: time.Now().UTC(), Client: c.ID, Scopes: c.Scopes})
}

func (o observedClients) PutClient(ctx context.Context, c *Client) error {
	kind := EventClientChanged
	if _, err := o.Client(ctx, c.ID); errors.Is(err, ErrNotFound) {
		kind = EventClientCreated
	} else if err != nil {
		return err
	}
	if err := o.ClientRegistry.PutClient(ctx, c); err != nil {
		return err
	}
	return o.observe(ctx, Event{Kind: kind, Time: time.Now().UTC(), Client: c.ID, Scopes: c.Scopes})
}

func (o observedClients) DeleteClient(ctx context.Context, id string) error {
	_, err := o.Client(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		err = o.ClientRegistry.DeleteClient(ctx, id)
	}
	if err != nil {
		return err
	}
	return o.observe(ctx, Event{Kind: EventClientDeleted, Time: time.Now().UTC(), Client: id})
}

type observedChanger struct {
	observedClients
	changer ClientChanger
}

func (o observedChanger) ChangeClient(ctx context.Context, id string, change func(*Client) (*Client, error)) error {
	var changed *Client
	err := o.changer.ChangeClient(ctx, id, func(c *Client) (_ *Client, err error) {
		changed, err = change(c)
		return changed, err
	})
	if err != nil {
		return err
	}
	return o.observe(ctx, Event{Kind: EventClientChanged, Time: time.Now().UTC(), Client: id, Scopes: changed.Scopes})
}
