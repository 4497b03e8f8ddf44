package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// A demoCommand is "sneck demo".
type demoCommand struct {
	Once      bool          `help:"Play a story, print a line for each step, and end: status 0 if every step went as it should."`
	JSON      bool          `name:"json" help:"With --once: print a JSON object for each step."`
	ASListen  string        `name:"as-listen" default:"127.0.0.1:0" placeholder:"ADDR" help:"Address of the authorization server; port 0, the default, is any free one."`
	APIListen string        `name:"api-listen" default:"127.0.0.1:0" placeholder:"ADDR" help:"Address of the notes API; port 0, the default, is any free one."`
	CacheTTL  time.Duration `name:"cache-ttl" default:"5s" placeholder:"DURATION" help:"Without --once: how long the API remembers an answer, ${default} if left out; 0 for not at all."`
}

// Help is printed below the flags.
func (*demoCommand) Help() string {
	return `An authorization server and a notes API start in one process, on this machine
only and without configuration. The API asks the server about each token over
HTTP, and remembers the answers. What is stored goes into a temporary directory
that is removed at the end.

Examples:

    sneck demo
    sneck demo --once
    sneck demo --once --json
    sneck demo --as-listen 127.0.0.1:8080 --api-listen 127.0.0.1:8081
`
}

// Run runs the demo.
func (c *demoCommand) Run(ctx context.Context, con *console) error {
	switch {
	case c.JSON && !c.Once:
		return usageError(errors.New("--json needs --once"), "sneck demo --once --json")
	case c.CacheTTL < 0:
		return usageError(fmt.Errorf("--cache-ttl %v is negative", c.CacheTTL), "--cache-ttl 5s")
	case c.Once:
		return c.play(ctx, con)
	}
	return c.wait(ctx, con)
}

// wait runs the scene until it is told to end.
func (c *demoCommand) wait(ctx context.Context, con *console) error {
	log := slog.New(slog.NewTextHandler(con.err, nil))
	s, err := startScene(ctx, c.ASListen, log, apiConfig{listen: c.APIListen, ttl: c.CacheTTL, log: log})
	if err != nil {
		return err
	}
	if err := explain(con.out, paletteFor(con.out, con.env), s); err != nil {
		return errors.Join(err, s.close())
	}
	<-ctx.Done()
	return s.close()
}

// explain prints what runs where, and what to do with it.
func explain(w io.Writer, p palette, s *scene) error {
	as, api := s.authority, s.apis[0]
	remembers, after := "remembers no answers", "Revoke it: the API refuses it, 401."
	if api.ttl > 0 {
		remembers = fmt.Sprintf("remembers answers for %v", api.ttl)
		after = fmt.Sprintf("Revoke it. The API refuses it, 401, when it has forgotten the answer, within %v: repeat the last line.", api.ttl)
	}
	heading := func(text string) string { return "\n" + p.bold(text) + "\n" }
	token := func(scope string) string {
		return fmt.Sprintf("  TOKEN=$(curl -sS -u %s:%s -d grant_type=client_credentials -d scope='%s' %s/token | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n",
			as.app.id, as.app.secret, scope, as.url)
	}
	bearer := fmt.Sprintf("  curl -sSi -H \"Authorization: Bearer $TOKEN\" %s/notes", api.url)

	text := fmt.Sprintf("%s  %s  (SQLite in %s)\n", p.bold("authorization server"), as.url, as.dir) +
		fmt.Sprintf("%s  %s  (asks the server over HTTP, %s)\n", p.bold("notes API           "), api.url, remembers) +
		heading("Without a token, the API answers 401:") +
		fmt.Sprintf("  curl -sSi %s/notes\n", api.url) +
		heading("Get a token that may read, and read: 200.") +
		token(scopeRead) + bearer + "\n" +
		heading("It may not write: 403, and the answer names the scope that is missing.") +
		bearer + " -d 'buy milk'\n" +
		heading("Get a token that may read and write, and write: 201.") +
		token(scopeRead+" "+scopeWrite) + bearer + " -d 'buy milk'\n" +
		heading(after) +
		fmt.Sprintf("  curl -sSi -u %s:%s -d token=\"$TOKEN\" %s/revoke\n", as.app.id, as.app.secret, as.url) +
		bearer + "\n" +
		"\nCtrl-C ends it all. Requests that the API refuses are logged below, with the reason.\n\n"
	_, err := io.WriteString(w, text)
	return err
}

// The APIs of the story: one that remembers for longer than the story lasts
// on a busy machine, and one that forgets while the audience watches.
const (
	longTTL  = time.Minute
	shortTTL = 2 * time.Second
	// patience is how long an introspection may take in the story, where a
	// thousand requests wait for one.
	patience = 30 * time.Second
)

// play plays the story.
func (c *demoCommand) play(ctx context.Context, con *console) (err error) {
	began := time.Now()
	scene, err := startScene(ctx, c.ASListen, nil,
		apiConfig{listen: c.APIListen, ttl: longTTL, timeout: patience},
		apiConfig{listen: "127.0.0.1:0", ttl: shortTTL, timeout: patience})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scene.close()) }()

	p := paletteFor(con.out, con.env)
	tell := func(l line) error { return l.write(con.out, p) }
	if c.JSON {
		out := json.NewEncoder(con.out)
		out.SetEscapeHTML(false)
		tell = func(l line) error { return out.Encode(l) }
	} else if err := introduce(con.out, p, scene); err != nil {
		return err
	}
	good, all, err := newStory(scene).play(ctx, tell)
	if err != nil {
		return err
	}
	if !c.JSON {
		verdict := fmt.Sprintf("%d of %d steps went as they should, in %.1f s", good, all, time.Since(began).Seconds())
		if _, err := fmt.Fprintf(con.out, "\n%s\n", p.bold(verdict)); err != nil {
			return err
		}
	}
	if good < all {
		return &exitError{exitNo, nil}
	}
	return nil
}

func introduce(w io.Writer, p palette, s *scene) error {
	_, err := fmt.Fprintf(w, "%s  %s  (SQLite in %s)\n%s  %s  (remembers answers for %v)\n%s  %s  (the same, but for %v)\n\n",
		p.bold("authorization server"), s.authority.url, s.authority.dir,
		p.bold("notes API           "), s.apis[0].url, s.apis[0].ttl,
		p.bold("forgetful notes API "), s.apis[1].url, s.apis[1].ttl)
	return err
}
