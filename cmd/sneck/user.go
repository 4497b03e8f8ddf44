package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

// userCommands are "sneck user …".
type userCommands struct {
	Create createUserCommand `cmd:"" help:"Make an account, and print its password once."`
	List   listUsersCommand  `cmd:"" help:"Print the accounts."`
	Passwd passwdCommand     `cmd:"" help:"Give an account another password, and sign it out everywhere."`
	Delete deleteUserCommand `cmd:"" help:"Delete an account, and revoke what was issued for it."`
}

// A userRecord is what is printed of an account.
type userRecord struct {
	Username string    `json:"username"`
	ID       string    `json:"sub"`
	Password string    `json:"password,omitempty"`
	Created  time.Time `json:"created"`
}

func (r userRecord) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	var t table
	t.add("user", r.Username)
	t.add("subject", r.ID)
	t.add("password", r.Password)
	t.add("created", r.Created.UTC().Format(time.RFC3339))
	return t.write(w)
}

// A passwordFlags says where a password comes from.
type passwordFlags struct {
	Stdin bool `name:"password-stdin" help:"Read the password from the standard input, without an echo on a terminal; else one is made up and printed."`
}

// password returns the password, and whether it was made up.
func (f *passwordFlags) password(con *console) (password string, generated bool, err error) {
	if !f.Stdin {
		return newPassword(), true, nil
	}
	if file, ok := con.in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(con.err, "Password: ")
		typed, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(con.err)
		return string(typed), false, err
	}
	password, err = readLine(con.in)
	if err != nil {
		return "", false, fmt.Errorf("read the password: %w", err)
	}
	return password, false, nil
}

// newPassword returns 100 random bits in a form that can be typed.
func newPassword() string {
	text := strings.ToLower(rand.Text()[:20])
	return strings.Join([]string{text[:5], text[5:10], text[10:15], text[15:]}, "-")
}

// A createUserCommand is "sneck user create".
type createUserCommand struct {
	Username string `arg:"" help:"Name to sign in with."`
	Data     string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
	passwordFlags
	auditFlags
	JSON bool `name:"json" help:"Print a JSON object."`
}

// Help is printed below the flags.
func (*createUserCommand) Help() string {
	return `The server need not be running, and may be. A password that is made up is
printed once; the database has only its hash.

Examples:

    sneck user create alice --data ./data
    sneck user create alice --data ./data --password-stdin <password.txt
`
}

// Run makes the account.
func (c *createUserCommand) Run(ctx context.Context, con *console) error {
	password, generated, err := c.password(con)
	if err != nil {
		return err
	}
	store, created, err := openData(ctx, c.Data, true)
	if err != nil {
		return err
	}
	defer store.Close()
	if created {
		fmt.Fprintf(con.err, "sneck: made a new database in %s\n", c.Data)
	}
	log, err := c.auditFlags.open()
	if err != nil {
		return err
	}
	if log != nil {
		defer log.Close()
	}
	accounts, err := pages.NewAccounts(store, nil)
	if err != nil {
		return err
	}
	account, err := accounts.Create(ctx, c.Username, password)
	if errors.Is(err, pages.ErrUsernameTaken) {
		return fmt.Errorf("user %q exists already (hint: sneck user passwd %[1]s)", c.Username)
	}
	if err != nil {
		return err
	}
	record := recordOfUser(account)
	if generated {
		record.Password = password
	}
	audited := recordAs(log, "user create")
	if err := audited(ctx, authserver.Event{Kind: authserver.EventAccountCreated, Subject: account.ID}); err != nil {
		return errors.Join(err, accounts.Delete(context.WithoutCancel(ctx), account.ID))
	}
	if err := record.write(con.out, c.JSON); err != nil {
		return errors.Join(fmt.Errorf("print the password: %w (hint: the account was not made)", err),
			accounts.Delete(context.WithoutCancel(ctx), account.ID),
			audited(ctx, authserver.Event{Kind: authserver.EventAccountDeleted, Subject: account.ID}))
	}
	if generated && !c.JSON {
		fmt.Fprintln(con.err, "sneck: the password is not stored and not shown again")
	}
	return store.Close()
}

func recordOfUser(a *pages.Account) userRecord {
	return userRecord{Username: a.Username, ID: a.ID, Created: a.Created}
}

// A listUsersCommand is "sneck user list".
type listUsersCommand struct {
	Data string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
	JSON bool   `name:"json" help:"Print a JSON object on a line of its own for each."`
}

// maxUsers is how many accounts are printed.
const maxUsers = 100_000

// Run prints the accounts.
func (c *listUsersCommand) Run(ctx context.Context, con *console) error {
	store, _, err := openData(ctx, c.Data, false)
	if err != nil {
		return err
	}
	defer store.Close()
	accounts, err := pages.NewAccounts(store, nil)
	if err != nil {
		return err
	}
	list, err := accounts.List(ctx, maxUsers)
	if err != nil {
		return err
	}
	width := 0
	for _, a := range list {
		width = max(width, len(printable(a.Username)))
	}
	for _, a := range list {
		if c.JSON {
			err = recordOfUser(a).write(con.out, true)
		} else {
			_, err = fmt.Fprintf(con.out, "%s%s  %s\n", pad(printable(a.Username), width+2), a.ID, a.Created.UTC().Format(time.DateOnly))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A passwdCommand is "sneck user passwd".
type passwdCommand struct {
	Username string `arg:"" help:"Name of the account."`
	Data     string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
	passwordFlags
	auditFlags
	JSON bool `name:"json" help:"Print a JSON object."`
}

// Run changes the password.
func (c *passwdCommand) Run(ctx context.Context, con *console) error {
	password, generated, err := c.password(con)
	if err != nil {
		return err
	}
	store, _, err := openData(ctx, c.Data, false)
	if err != nil {
		return err
	}
	defer store.Close()
	accounts, account, err := findAccount(ctx, store, c.Username, c.Data)
	if err != nil {
		return err
	}
	log, err := c.auditFlags.open()
	if err != nil {
		return err
	}
	if log != nil {
		defer log.Close()
	}
	if err := accounts.SetPassword(ctx, account.ID, password, ""); err != nil {
		return err
	}
	unrecorded := recordAs(log, "user passwd")(ctx, authserver.Event{Kind: authserver.EventPasswordChanged, Subject: account.ID})
	record := recordOfUser(account)
	if generated {
		record.Password = password
	}
	if err := record.write(con.out, c.JSON); err != nil {
		return errors.Join(fmt.Errorf("print the password: %w (hint: it was changed; do it again)", err), unrecorded)
	}
	return errors.Join(unrecorded, store.Close())
}

// A deleteUserCommand is "sneck user delete".
type deleteUserCommand struct {
	Username string `arg:"" help:"Name of the account."`
	Data     string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
	Yes      bool   `help:"Do not ask."`
	auditFlags
	JSON bool `name:"json" help:"Print a JSON object."`
}

// Run deletes the account.
func (c *deleteUserCommand) Run(ctx context.Context, con *console) error {
	store, _, err := openData(ctx, c.Data, false)
	if err != nil {
		return err
	}
	defer store.Close()
	accounts, account, err := findAccount(ctx, store, c.Username, c.Data)
	if err != nil {
		return err
	}
	if err := confirm(con, c.Yes, fmt.Sprintf("Delete %s and everything issued for them?", printable(account.Username))); err != nil {
		return err
	}
	log, err := c.auditFlags.open()
	if err != nil {
		return err
	}
	if log != nil {
		defer log.Close()
	}
	if err := accounts.Delete(ctx, account.ID); err != nil {
		return err
	}
	if err := recordAs(log, "user delete")(ctx, authserver.Event{Kind: authserver.EventAccountDeleted, Subject: account.ID}); err != nil {
		return err
	}
	if c.JSON {
		err = recordOfUser(account).write(con.out, true)
	} else {
		_, err = fmt.Fprintf(con.out, "deleted user %s and what was issued for them\n", printable(account.Username))
	}
	if err != nil {
		return err
	}
	return store.Close()
}

// confirm asks on a terminal; elsewhere it wants --yes.
func confirm(con *console, yes bool, question string) error {
	if yes {
		return nil
	}
	file, ok := con.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return usageError(errors.New("nobody is there to confirm"), "--yes")
	}
	fmt.Fprintf(con.err, "%s [y/N] ", question)
	line, err := readAnswer(file)
	if err != nil {
		return err
	}
	if line != "y" && line != "yes" {
		return errors.New("nothing was deleted")
	}
	return nil
}

// readAnswer reads up to the end of a short line.
func readAnswer(r io.Reader) (string, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < 10; {
		n, err := r.Read(one)
		if n == 0 || one[0] == '\n' {
			if err != nil && !errors.Is(err, io.EOF) {
				return "", err
			}
			break
		}
		line = append(line, one[0])
	}
	return strings.ToLower(strings.TrimSpace(string(line))), nil
}

func findAccount(ctx context.Context, store authserver.Lister, username, dir string) (*pages.Accounts, *pages.Account, error) {
	accounts, err := pages.NewAccounts(store, nil)
	if err != nil {
		return nil, nil, err
	}
	account, err := accounts.ByName(ctx, username)
	if errors.Is(err, pages.ErrNoAccount) {
		err = fmt.Errorf("there is no user %q in %s (hint: sneck user list, and look at --data)", username, dir)
	}
	return accounts, account, err
}
