package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// A row is a setting that a file can say, with another value than its default,
// and what shows that it is in force.
type row struct {
	yaml, text string   // the value in a file; and in the environment and as a flag, if that is written otherwise
	with       []string // flags without which it would not show
	fresh      bool     // it needs a database for itself
	shows      func(s *serving) any
	standard   any
	want       any
}

// rows are those of the list of settings of the issuing side that a file can
// say; the others take a function, or an implementation, in Go.
var rows = map[string]row{
	"access_token_expire_seconds": {yaml: "90", standard: 3600.0, want: 90.0,
		shows: func(s *serving) any { return s.token("app", "read")["expires_in"] }},
	"access_token_generator": {yaml: "base62-40", standard: 58, want: 40, shows: func(s *serving) any {
		token := s.token("app", "read")["access_token"].(string)
		_, answer := s.post("/introspect", "api", "token="+token)
		assert.Equal(s.t, true, answer["active"])
		return len(token)
	}},
	"allowed_redirect_uri_schemes": {yaml: "[https]", text: "https", standard: true, want: false, shows: func(s *serving) any {
		page, _ := s.ask(challenge())
		return asField.MatchString(page)
	}},
	"authorization_code_expire_seconds": {yaml: "30", standard: 60, want: 30, shows: func(s *serving) any {
		s.code()
		return s.life(authserver.KindCode, "web")
	}},
	"oauth2_server_class": {yaml: "[client_credentials, legacy_password]", text: "client_credentials,legacy_password",
		standard: []any{200, 400}, want: []any{404, 200}, shows: func(s *serving) any {
			status, _ := s.post("/token", "old", url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {goodWord}, "scope": {"read"}}.Encode())
			device, _ := s.post("/device_authorization", "tv", "scope=read")
			return []any{device, status}
		}},
	"oauth2_backend_class": {yaml: "json", standard: 415, want: 200, shows: func(s *serving) any {
		status, _ := s.send("/token", "app", "application/json", `{"grant_type": "client_credentials", "scope": "read"}`)
		return status
	}},
	"refresh_token_expire_seconds": {yaml: "never", standard: 2592000, want: -1, shows: func(s *serving) any {
		s.login()
		return s.life(authserver.KindRefresh, "web")
	}},
	"refresh_token_idle_seconds": {yaml: "600", standard: 2592000, want: 600, shows: func(s *serving) any {
		s.login()
		return s.life(authserver.KindRefresh, "web")
	}},
	"refresh_token_grace_period_seconds": {yaml: "60", standard: 400, want: 200, shows: func(s *serving) any {
		token := s.login()["refresh_token"]
		_, _ = s.refresh(token)
		status, _ := s.refresh(token)
		return status
	}},
	"rotate_refresh_token": {yaml: "false", standard: false, want: true, shows: func(s *serving) any {
		token := s.login()["refresh_token"]
		_, next := s.refresh(token)
		return next["refresh_token"] == token
	}},
	"refresh_token_generator": {yaml: "hex-50", standard: 58, want: 50,
		shows: func(s *serving) any { return len(s.login()["refresh_token"].(string)) }},
	"refresh_token_reuse_protection": {yaml: "false", standard: 400, want: 200, shows: func(s *serving) any {
		token := s.login()["refresh_token"]
		_, next := s.refresh(token)
		status, _ := s.refresh(token)
		assert.Equal(s.t, 400, status)
		status, _ = s.refresh(next["refresh_token"])
		return status
	}},
	"request_approval_prompt": {yaml: "auto", standard: false, want: true, shows: func(s *serving) any {
		s.code()
		_, back := s.ask(challenge())
		return back != ""
	}},
	"scopes_backend_class": {yaml: "static", standard: "view", want: nil,
		shows: func(s *serving) any { return s.token("app", "view")["scope"] }},
	"scopes": {yaml: "{write: Change all, view: See it}", text: "write=Change all;view=See it", with: []string{"--scopes-backend=static"},
		standard: []any{"read", "write"}, want: []any{"write", "view"}, shows: func(s *serving) any { return s.metadata("scopes_supported") }},
	"default_scopes": {yaml: "[__all__]", text: "__all__", with: []string{"--scope=read=See it"}, standard: nil, want: "read",
		shows: func(s *serving) any { return s.token("app", "")["scope"] }},
	"read_scope": {yaml: "view", with: []string{"--scopes-backend=static"}, standard: []any{"read", "write"}, want: []any{"view", "write"},
		shows: func(s *serving) any { return s.metadata("scopes_supported") }},
	"write_scope": {yaml: "change", with: []string{"--scopes-backend=static"}, standard: []any{"read", "write"}, want: []any{"read", "change"},
		shows: func(s *serving) any { return s.metadata("scopes_supported") }},
	"pkce_required": {yaml: "false", standard: false, want: true, shows: func(s *serving) any {
		page, _ := s.ask("")
		return asField.MatchString(page)
	}},
	"clear_expired_tokens_batch_size": {yaml: "1", fresh: true, standard: 0, want: 2, shows: func(s *serving) any { return s.swept(true) },
		with: []string{"--clear-expired-tokens-interval=1ms", "--clear-expired-tokens-pause=1h", "--clear-expired-tokens-retain=1s"}},
	"clear_expired_tokens_interval": {yaml: "1ms", fresh: true, with: []string{"--clear-expired-tokens-retain=1s"}, standard: 3, want: 0,
		shows: func(s *serving) any { return s.swept(s.now) }},
}

// swept writes three records that have expired, and returns how many are left;
// if the server sweeps now, once it has deleted some.
func (s *serving) swept(now bool) int {
	var records []authserver.Record
	for i := range 3 {
		old := time.Now().Add(-time.Hour)
		records = append(records, authserver.Record{
			Key: authserver.KeyOf(fmt.Sprint(i)), Kind: "swept", Client: "swept", Subject: "swept", Issued: old, Expires: old.Add(time.Second),
		})
	}
	require.NoError(s.t, s.store.Create(s.t.Context(), records...))
	for left := len(records); ; {
		list, err := s.store.List(s.t.Context(), "swept", authserver.Selector{Client: "swept"}, authserver.Key{}, 10)
		require.NoError(s.t, err) // also when the test has lasted too long
		if !now || len(list) != left {
			return len(list)
		}
	}
}

// What a file says is in force, and so is what the environment and the command
// line say.
func TestSettings(t *testing.T) {
	shared := newHouse(t)
	standard := shared.serve(t, nil)
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			house := func() *house {
				if row.fresh {
					return emptyHouse(t)
				}
				return shared
			}
			if row.with == nil {
				s := *standard
				s.t, s.alice.t = t, t
				assert.Equal(t, row.standard, row.shows(&s))
			} else {
				assert.Equal(t, row.standard, row.shows(house().serve(t, nil, row.with...)))
			}
			for way, say := range saying(t, name, row) {
				s := house().serve(t, say.env, append(say.args, row.with...)...)
				s.now = true
				assert.Equal(t, row.want, row.shows(s), way)
			}
		})
	}
	for name, row := range clientRows {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, row.standard, row.shows(t, shared, nil))
			for way, say := range saying(t, name, row.row) {
				assert.Equal(t, row.want, row.shows(t, shared, say.env, append(say.args, row.with...)...), way)
			}
		})
	}
}

// A said is a way to say a setting.
type said struct {
	env  map[string]string
	args []string
}

// saying returns the three ways to say a setting.
func saying(t *testing.T, name string, r row) map[string]said {
	file := filepath.Join(t.TempDir(), "sneck.yaml")
	require.NoError(t, os.WriteFile(file, []byte(name+": "+r.yaml+"\n"), 0o600))
	text := r.text
	if text == "" {
		text = r.yaml
	}
	if testing.Short() { // the layers have tests of their own
		return map[string]said{"file": {args: []string{"--config", file}}}
	}
	return map[string]said{
		"file":        {args: []string{"--config", file}},
		"environment": {env: map[string]string{"SNECK_" + strings.ToUpper(name): text}},
		"flag":        {args: []string{"--" + strings.ReplaceAll(name, "_", "-") + "=" + text}},
	}
}

// A clientRow is a setting that shows when a client is registered.
type clientRow struct {
	row
	shows func(t *testing.T, h *house, env map[string]string, args ...string) any
}

var clientRows = map[string]clientRow{
	"client_id_generator_class": {row: row{yaml: "hex-40", standard: 32, want: 40},
		shows: func(t *testing.T, h *house, env map[string]string, args ...string) any {
			return len(registered(t, h, env, args...).ID)
		}},
	"client_secret_generator_class": {row: row{yaml: "hex", standard: false, want: true},
		shows: func(t *testing.T, h *house, env map[string]string, args ...string) any {
			return strings.Trim(registered(t, h, env, args...).Secret, base16) == ""
		}},
	"client_secret_generator_length": {row: row{yaml: "40", standard: 128, want: 40},
		shows: func(t *testing.T, h *house, env map[string]string, args ...string) any {
			return len(registered(t, h, env, args...).Secret)
		}},
	"client_secret_hasher": {row: row{yaml: "automatic", standard: "$sha256$", want: "$sha256$"},
		shows: func(t *testing.T, h *house, env map[string]string, args ...string) any {
			c, err := h.store.Client(t.Context(), registered(t, h, env, args...).ID)
			require.NoError(t, err)
			parts := strings.SplitN(c.Secrets[0].Hash, "$", 3)
			return "$" + parts[1] + "$"
		}},
}

// registered registers a client as the command does.
func registered(t *testing.T, h *house, env map[string]string, args ...string) admin.Client {
	t.Helper()
	var out, stderr bytes.Buffer
	args = append([]string{"client", "create", "--data", h.dir, "--scope=read", "--audience=https://api.example", "--json"}, args...)
	status := run(t.Context(), args, env, nil, &out, &stderr)
	require.Equal(t, exitOK, status, stderr.String())
	var c admin.Client
	require.NoError(t, json.Unmarshal(out.Bytes(), &c))
	return c
}

// Every setting has a field of its own, a text that says what it does, and
// names that nothing else has.
func TestSettingsAreDefined(t *testing.T) {
	var names, flags []string
	for _, s := range settings.Of(serverSettings{}) {
		assert.NotEmpty(t, s.Doc, s.Key)
		assert.NotEmpty(t, s.Group, s.Key)
		names = append(names, s.Variables...)
		flags = append(flags, s.Flags...)
	}
	for _, list := range [][]string{names, flags} {
		slices.Sort(list)
		assert.Equal(t, slices.Compact(slices.Clone(list)), list)
	}
}

// A value of the wrong type is one mistake, and none of what follows from it.
func TestSettingsOfTheWrongType(t *testing.T) {
	for _, s := range settings.Of(serverSettings{}) {
		t.Run(s.Key, func(t *testing.T) {
			keys := strings.Split(s.Key, ".")
			file := strings.Join(keys, ": {") + ": [[]]" + strings.Repeat("}", len(keys)-1)
			if s.Key != "data" {
				file += "\ndata: nowhere"
			}
			_, _, err := loadServer(settings.Sources{File: "sneck.yaml", Data: []byte(file)})
			var mistakes settings.Mistakes
			require.ErrorAs(t, err, &mistakes)
			assert.Len(t, mistakes, 1, "%v", err)
		})
	}
}
