package ui

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// kindOnce is the kind of the record of a secret that is still to be shown.
const kindOnce authserver.Kind = "shown_once"

// onceLife is how long it takes at most until it is shown.
const onceLife = 2 * time.Minute

type onceExtra struct {
	Sealed []byte `json:"sealed"`
}

// keep puts a secret aside until the browser has come to the page that shows
// it, which is about subject, and returns a ticket for that. A page that is the
// answer to a form would come again, and do it again, when it is reloaded.
//
// The store gets the secret encrypted by the ticket, and nothing of the ticket
// itself but a digest. So it works with several processes, and who reads the
// store learns nothing.
func (v *visit) keep(secret, subject string) (ticket string, err error) {
	ticket = rand.Text()
	box, err := onceBox(ticket)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, box.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	extra, err := json.Marshal(onceExtra{box.Seal(nonce, nonce, []byte(secret), v.onceFor(subject))})
	if err != nil {
		return "", err
	}
	now := v.site.config.Pages.Now()
	err = v.site.config.Pages.Store.Create(v.Context(), authserver.Record{
		Key: onceKey(ticket), Kind: kindOnce, Subject: v.Account.ID, Issued: now, Expires: now.Add(onceLife), Extra: extra,
	})
	if err != nil {
		return "", fmt.Errorf("ui: keep a secret until it is shown: %w", err)
	}
	return ticket, nil
}

// take returns the secret of the ticket of this request, the first time, and
// "" if there is none any more.
func (v *visit) take(subject string) (secret string, err error) {
	ticket := v.query.Get("shown")
	if ticket == "" {
		return "", nil
	}
	store, key := v.site.config.Pages.Store, onceKey(ticket)
	record, err := store.Get(v.Context(), key)
	if err == nil && record.Subject != v.Account.ID {
		return "", nil // and it waits for who may see it
	}
	if err == nil {
		record, err = store.Spend(v.Context(), authserver.Spend{Key: key, Now: v.site.config.Pages.Now()})
	}
	switch {
	case errors.Is(err, authserver.ErrNotFound), errors.Is(err, authserver.ErrExpired), errors.Is(err, authserver.ErrSpent):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("ui: look for a secret to show: %w", err)
	}
	var extra onceExtra
	box, err := onceBox(ticket)
	if err != nil {
		return "", err
	}
	n := box.NonceSize()
	if err := json.Unmarshal(record.Extra, &extra); err != nil || len(extra.Sealed) < n {
		return "", errors.New("ui: the record of a secret to show is damaged")
	}
	plain, err := box.Open(nil, extra.Sealed[:n], extra.Sealed[n:], v.onceFor(subject))
	if err != nil {
		return "", nil // it is for another page
	}
	_, err = store.Revoke(v.Context(), authserver.Selector{Key: key, Subject: v.Account.ID})
	return string(plain), err
}

// onceFor binds a secret to who has made it, and to what it is of.
func (v *visit) onceFor(subject string) []byte {
	return fmt.Appendf(nil, "%q %q", v.Account.ID, subject)
}

func onceKey(ticket string) authserver.Key { return authserver.KeyOf("shown once " + ticket) }

func onceBox(ticket string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(ticket), nil, "sneck: a secret that is shown once", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
