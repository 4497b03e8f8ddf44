package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A yesFlag does what can not be undone without asking.
type yesFlag struct {
	Yes bool `short:"y" help:"Do not ask; needed where nobody can be asked."`
}

// confirm says what is going to happen and has somebody on a terminal agree.
// Elsewhere it wants --yes.
func (f yesFlag) confirm(ctx context.Context, con *console, what string) error {
	return f.ask(ctx, con, what, "Go on? [y/N] ", func(answer string) bool {
		return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
	})
}

// confirmName is a confirm for what would be missed most: the name of what is
// deleted is to be typed.
func (f yesFlag) confirmName(ctx context.Context, con *console, what, name string) error {
	return f.ask(ctx, con, what, fmt.Sprintf("Type %s to go on: ", printable(name)), func(answer string) bool {
		return answer == name || answer == printable(name)
	})
}

func (f yesFlag) ask(ctx context.Context, con *console, what, question string, agrees func(string) bool) error {
	if f.Yes {
		return nil
	}
	terminal := con.terminal()
	if terminal == nil {
		return usageError(fmt.Errorf("%s: nobody is there to confirm", what), "--yes")
	}
	fmt.Fprintf(con.err, "%s.\n%s", what, question)
	answer, err := interruptible(ctx, func() (string, error) { return readAnswer(terminal) })
	if err != nil {
		return err
	}
	if !agrees(answer) {
		return errors.New("nothing was done (hint: the answer was not what was asked for)")
	}
	return nil
}

// terminal returns the terminal that somebody sits at, or nil.
func (c *console) terminal() *os.File {
	if file, ok := c.in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return file
	}
	return nil
}

// interruptible waits for a person no longer than ctx allows. Who reads on is
// left behind: the program ends.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	came := make(chan result, 1)
	go func() {
		line, err := read()
		came <- result{line, err}
	}()
	select {
	case r := <-came:
		return r.line, r.err
	case <-ctx.Done():
		return "", fmt.Errorf("nothing was done: %w", ctx.Err())
	}
}

// maxTyped is the longest answer of a person that is read, in bytes: longer
// than any name.
const maxTyped = 1024

// readAnswer reads a line, byte by byte as what is behind it is for others.
func readAnswer(r io.Reader) (string, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < maxTyped; {
		n, err := r.Read(one)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if n == 0 || one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	return strings.TrimSpace(string(line)), nil
}
