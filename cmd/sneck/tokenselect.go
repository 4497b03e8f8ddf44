package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sneckauth/sneck/authserver/admin"
)

// A tokenSelection says which tokens are meant: those that have all of what is
// said.
type tokenSelection struct {
	Client  string `placeholder:"ID" help:"Those that were issued to this client."`
	User    string `placeholder:"NAME" help:"Those that were issued for this user."`
	Subject string `placeholder:"SUB" help:"The same by the subject, also of a user who is gone."`
	Family  string `placeholder:"ID" help:"Those that came of this approval."`
	JTI     string `name:"jti" placeholder:"JTI" help:"The one that introspection reports this jti of."`
}

// of returns what is selected.
func (s *tokenSelection) of(ctx context.Context, o *operator) (admin.TokenSelector, error) {
	which := admin.TokenSelector{ID: s.JTI, Family: s.Family, Client: s.Client, Subject: s.Subject}
	if which == (admin.TokenSelector{}) && s.User == "" {
		return which, usageError(errors.New("which tokens is not said"), "--client, --user, --subject, --family or --jti")
	}
	if s.User == "" {
		return which, nil
	}
	if s.Subject != "" {
		return which, usageError(errors.New("--user and --subject are both given"), "one of them")
	}
	account, err := o.account(ctx, s.User)
	if err != nil {
		return which, err
	}
	which.Subject = account.ID
	return which, nil
}

// whose says in words whose tokens are selected.
func (s *tokenSelection) whose() string {
	var parts []string
	for _, part := range [][2]string{{"client", s.Client}, {"user", s.User}, {"subject", s.Subject}, {"family", s.Family}} {
		if part[1] != "" {
			parts = append(parts, part[0]+" "+printable(part[1]))
		}
	}
	return strings.Join(parts, ", ")
}

// near complains of a client that is not there, if nothing was found.
func (s *tokenSelection) near(ctx context.Context, o *operator) error {
	if s.Client == "" {
		return nil
	}
	_, err := o.client(ctx, s.Client)
	return err
}

// maxCounted is how many tokens are counted.
const maxCounted = 1000

// countTokens says in words how many tokens are still good.
func (o *operator) countTokens(ctx context.Context, which admin.TokenSelector) (string, error) {
	n := 0
	for after := ""; n <= maxCounted; {
		page, next, err := o.Tokens(ctx, which, after, 0)
		if err != nil {
			return "", err
		}
		n += len(page)
		if after = next; after == "" {
			return counted(n, "live token"), nil
		}
	}
	return fmt.Sprintf("more than %d live tokens", maxCounted), nil
}

// counted says how many of a thing there are.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
