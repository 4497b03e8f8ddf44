package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// operatorFlags are the flags of commands that do what an operator does.
type operatorFlags struct {
	dataFlags
	configFlag
	sealFlags
	auditFlags
	jsonFlag

	// settings are flags for settings of the server; nil if it does not matter
	// what these are.
	settings *settings.Flags
	// passwords hashes those of accounts as the server does; nil has no peppers.
	passwords authserver.SecretHasher
}

// operatorName is who the audit log says has done it.
const operatorName = "command line"

// An operator is what can be done to the server of one database.
type operator struct {
	*admin.Operations
	store database
	data  string
}

// do opens the database and the audit log, and closes them behind what is
// done. If create is set, a database is made where there is none.
func (f *operatorFlags) do(ctx context.Context, con *console, create bool, what func(*operator) error) (err error) {
	like, err := f.like(con)
	if err != nil {
		return err
	}
	store, err := f.dataFlags.open(ctx, con, create)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	log, err := f.auditFlags.open()
	if err != nil {
		return err
	}
	if log != nil {
		defer func() { err = errors.Join(err, log.Close()) }()
		like.Audit, like.AuditRequired = log.Record, true
	}
	operations, err := operationsOn(store, like, f.passwords)
	if err != nil {
		return err
	}
	return inOurWords(what(&operator{operations, store, f.Data}))
}

// check finds out what is wrong with what is to be done before there is a
// database: it does it to an empty one in memory.
func (f *operatorFlags) check(con *console, what func(*admin.Operations) error) error {
	like, err := f.like(con)
	if err != nil {
		return err
	}
	operations, err := operationsOn(authserver.NewMemory(), like, f.passwords)
	if err != nil {
		return err
	}
	return inOurWords(what(operations))
}

// like returns what a server that checks clients has in common with the one
// that will run.
func (f *operatorFlags) like(con *console) (authserver.Config, error) {
	c := authserver.Config{Scopes: registeredScopes{}}
	if f.settings == nil {
		var err error
		c.Sealer, err = f.sealer()
		return c, err
	}
	sources, err := f.sources(con.env, f.settings)
	if err != nil {
		return c, err
	}
	for name, value := range map[string]string{"data": f.Data, "sealing-key": f.SealingKey, "audit": f.Audit} {
		if value != "" {
			sources.Flags[name] = []string{value}
		}
	}
	set, server, err := loadServer(sources)
	if err != nil {
		return c, mistakenError(err)
	}
	if set.ScopeBackend == "static" {
		c.Scopes = server.Scopes
	}
	c.Sealer, c.RedirectSchemes, c.InsecureHTTPRedirects = server.Sealer, server.RedirectSchemes, server.InsecureHTTPRedirects
	c.ClientID, c.ClientSecret, c.ClientSecretLength = server.ClientID, server.ClientSecret, server.ClientSecretLength
	c.SecretPeppers = server.SecretPeppers
	return c, nil
}

// operationsOn returns what can be done to a store. The server behind it checks
// clients, and no more.
func operationsOn(store interface {
	authserver.Lister
	authserver.ClientRegistry
}, like authserver.Config, hasher authserver.SecretHasher) (*admin.Operations, error) {
	// The keys and certificates are those of the server that will run.
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	keys, err := authserver.StaticKeys(authserver.SigningKey{Signer: key})
	if err != nil {
		return nil, err
	}
	like.Issuer, like.Store, like.Clients, like.Keys = "https://localhost", store, store, keys
	like.MutualTLS = &authserver.MutualTLS{Roots: x509.NewCertPool()}
	server, err := authserver.New(like)
	if err != nil {
		return nil, err
	}
	accounts, err := accountsIn(store, hasher)
	if err != nil {
		return nil, err
	}
	operations, err := admin.New(admin.Config{Server: server, Store: store, Clients: store, Accounts: accounts, AllowNoAdmin: true})
	if err != nil {
		return nil, err
	}
	return operations.As(operatorName), nil
}

// inOurWords returns errors of operations as the command line has them.
func inOurWords(err error) error {
	if err == nil {
		return nil
	}
	text, ours := strings.CutPrefix(err.Error(), "admin: ")
	switch {
	case !ours:
		return err
	case errors.Is(err, admin.ErrInvalid):
		return usageError(errors.New(text), "--help says what can be given")
	}
	return &reworded{text, err}
}

// A reworded is an error that reads differently.
type reworded struct {
	text string
	err  error
}

func (r *reworded) Error() string { return r.text }
func (r *reworded) Unwrap() error { return r.err }

// maxNear is how many names are looked at to find those that are near.
const maxNear = 5000

// client returns a client. If there is none, the error names those that may be
// meant.
func (o *operator) client(ctx context.Context, id string) (*admin.Client, error) {
	client, err := o.Client(ctx, id)
	if !errors.Is(err, admin.ErrNotFound) {
		return client, err
	}
	clients, listErr := o.store.ListClients(ctx, "", maxNear)
	ids := make([]string, len(clients))
	for i, c := range clients {
		ids[i] = c.ID
	}
	return nil, errors.Join(fmt.Errorf("there is no client %q in %s (hint: %ssneck client list, and look at --data)",
		id, dataName(o.data), meant(id, ids)), listErr)
}

// account returns the account of a name. If there is none, the error names
// those that may be meant.
func (o *operator) account(ctx context.Context, username string) (*admin.Account, error) {
	account, err := o.AccountByName(ctx, username)
	if !errors.Is(err, admin.ErrNotFound) {
		return account, err
	}
	accounts, err := pages.NewAccounts(o.store, nil)
	if err != nil {
		return nil, err
	}
	list, listErr := accounts.List(ctx, maxNear)
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.Username
	}
	return nil, errors.Join(fmt.Errorf("there is no user %q in %s (hint: %ssneck user list, and look at --data)",
		username, dataName(o.data), meant(username, names)), listErr)
}
