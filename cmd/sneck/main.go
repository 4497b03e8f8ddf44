// Command sneck runs an authorization server, registers clients, gets and
// introspects tokens, and shows on one machine what a guarded API does.
//
// Run "sneck help" for a list of the commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sneckauth/sneck/cmd/internal/settings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once. What comes together with the first
	// is the same: timeout(1) tells the process, and then all of its group.
	context.AfterFunc(ctx, func() { time.AfterFunc(sameSignal, stop) })
	// When the reader of the output goes away, as "head" does, writing fails
	// and the command ends by itself, instead of at once and untidily.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], variables(os.Environ()), os.Stdin, os.Stdout, os.Stderr))
}

// sameSignal is how long further signals mean no more than the first one.
const sameSignal = time.Second

// The exit statuses.
const (
	exitOK      = 0
	exitNo      = 1 // it failed, or the answer is no
	exitUsage   = 2 // the command line is wrong
	exitUnknown = 3 // the answer could not be found out
)

// A commandLine is what can be said on the command line.
type commandLine struct {
	Demo       demoCommand       `cmd:"" help:"Run a server and a guarded API on this machine, to try things out."`
	Serve      serveCommand      `cmd:"" help:"Run the authorization server."`
	Guard      guardCommand      `cmd:"" help:"Guard a service in any language: as a reverse proxy, or asked by one."`
	Check      checkCommand      `cmd:"" help:"Check a file with settings or with routes."`
	Client     clientCommands    `cmd:"" help:"Register, show and change clients of the authorization server."`
	Key        keysCommands      `cmd:"" help:"Show and change the keys that tokens are signed with."`
	User       userCommands      `cmd:"" help:"Make, show and change accounts of people who sign in to the authorization server."`
	Login      loginCommand      `cmd:"" help:"Sign in with a browser, and get an access token that acts for you."`
	Audit      auditCommands     `cmd:"" help:"Read, search and check an audit log."`
	Token      tokenCommands     `cmd:"" help:"Get, list and revoke tokens, and delete what has expired."`
	Introspect introspectCommand `cmd:"" help:"Ask an authorization server about a token, as a resource server."`
	Completion completionCommand `cmd:"" help:"Print a script with which a shell completes command lines."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

const description = `OAuth 2.0 bearer tokens: issue them, ask about them, guard an API with them.

Flags named like $SNECK_DATA can be set in the environment, too. Names of groups
are understood in the plural as well, as in "sneck tokens clear".

Exit status: 0 for done, 1 for failed or if the answer is no, 2 for a wrong
command line, 3 if the answer could not be found out.`

// run is the program, with all that it touches as parameters. It returns the
// exit status.
func run(ctx context.Context, args []string, env map[string]string, stdin io.Reader, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(args[1:len(args):len(args)], "--help")
	case args[0] == "--version":
		args = []string{"version"}
	case args[0] == completeArg:
		return report(stderr, completeLine(args[1:], stdout))
	}
	args = inFull(args)
	cli := newCommandLine()
	exited := false
	parser, err := newParser(&cli,
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.Resolvers(fromEnvironment(env)),
	)
	if err != nil {
		return report(stderr, err)
	}
	command, err := parser.Parse(args)
	if exited { // the help was printed
		return exitOK
	}
	if err != nil {
		hint := "sneck " + commandOf(err) + "--help"
		if unknown, ok := strings.CutPrefix(err.Error(), "unknown flag -"); ok && !strings.HasPrefix(unknown, "-") {
			hint += "; -- stands before a value that begins with -"
		}
		return report(stderr, usageError(err, hint))
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return report(stderr, command.Run(&console{env: env, in: stdin, out: stdout, err: stderr}))
}

// newCommandLine returns a command line whose commands have all their flags.
func newCommandLine() commandLine {
	return commandLine{Serve: newServeCommand(), Guard: newGuardCommand(), Client: newClientCommands()}
}

// newParser returns the parser of a command line.
func newParser(cli *commandLine, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(cli, append([]kong.Option{
		kong.Name("sneck"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	}, options...)...)
}

// inFull returns arguments as the grammar has them: names of groups in the
// singular, and what a token is asked for with if only flags say it.
func inFull(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args[:min(len(args), 2)] {
		switch arg {
		case "clients", "users", "tokens", "keys", "secrets", "sessions", "admins":
			args[i] = strings.TrimSuffix(arg, "s")
		}
	}
	if len(args) > 1 && args[0] == "token" && strings.HasPrefix(args[1], "-") && args[1] != "-h" && args[1] != "--help" {
		args = slices.Insert(args, 1, "get")
	}
	return args
}

// commandOf returns the command that an error of the parser is about, with a
// space behind it.
func commandOf(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil {
		if node := wrong.Context.Selected(); node != nil {
			return node.Path() + " "
		}
	}
	return ""
}

// fromEnvironment sets flags that have a "from" tag and are not on the command
// line: from the variable of that name, or from the file with settings that has
// the setting of this variable.
func fromEnvironment(env map[string]string) kong.Resolver {
	return kong.ResolverFunc(func(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		name := flag.Tag.Get("from")
		if name == "" {
			return nil, nil
		}
		if value := env[name]; value != "" {
			return value, nil
		}
		if name == configVariable {
			return nil, nil
		}
		return fromFile(configOf(ctx, env), name)
	})
}

// A console is what a command may read and write, besides files and sockets.
type console struct {
	env      map[string]string
	in       io.Reader
	out, err io.Writer
}

// An exitError ends the program with a status. With a nil error it says
// nothing more.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError says what is wrong with the command line, and what to do or to
// type next.
func usageError(err error, hint string) error {
	return &exitError{exitUsage, hinted(err, hint)}
}

// hinted adds a hint to an error that has none.
func hinted(err error, hint string) error {
	if strings.Contains(err.Error(), "(hint: ") {
		return err
	}
	return fmt.Errorf("%w (hint: %s)", err, hint)
}

// report prints an error, if there is one to print, and returns the status.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitNo, err}
	}
	if exit.err == nil || errors.Is(exit.err, syscall.EPIPE) { // nobody reads on
		return exit.status
	}
	var mistakes settings.Mistakes
	if errors.As(exit.err, &mistakes) {
		fmt.Fprintln(stderr, mistakes) // as editors understand them
		return exit.status
	}
	// Joined errors are one line as well.
	fmt.Fprintf(stderr, "sneck: %s\n", strings.ReplaceAll(exit.err.Error(), "\n", "; "))
	return exit.status
}
