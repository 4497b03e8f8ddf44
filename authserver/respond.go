package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// answer writes a JSON answer that nobody may keep (RFC 6749, section 5.1).
func answer(w http.ResponseWriter, status int, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	answerJSON(w, status, data)
	return nil
}

// answerJSON is answer for what is JSON already.
func answerJSON(w http.ResponseWriter, status int, data []byte) {
	noStore(w)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that is gone needs no answer
}

func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// refuse is the one place that turns an error into an answer: the code goes
// to the client, the cause to the log. client is who asked, if that is known.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, client *Client, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = unavailable(err)
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	s.logRefusal(r, client, e, status)
	switch {
	case e.challenge != "":
		w.Header().Set("WWW-Authenticate", e.challenge)
	case status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="`+s.config.Issuer+`"`)
	case status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case status == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", seconds(e.retryAfter))
	}
	body := struct {
		Code        string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.Code, e.Description}
	if err := answer(w, status, body); err != nil {
		http.Error(w, "", http.StatusInternalServerError)
	}
}

// seconds returns a time in whole seconds, rounded up, as a header has it.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

func (s *Server) logRefusal(r *http.Request, client *Client, e *Error, status int) {
	level := slog.LevelInfo
	switch {
	case errors.Is(e.Err, context.Canceled):
	case status == http.StatusTooManyRequests:
		level = slog.LevelDebug // the first of them is reported elsewhere
	case status >= 500:
		level = slog.LevelError
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		level = slog.LevelWarn
	}
	if !s.config.Logger.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("path", r.URL.Path), slog.Int("status", status),
		slog.String("code", e.Code), slog.String("description", e.Description),
	}
	if client != nil {
		attrs = append(attrs, slog.String("client", client.ID))
	}
	if e.Err != nil {
		attrs = append(attrs, cause(e.Err))
	}
	s.config.Logger.LogAttrs(r.Context(), level, "request refused", attrs...)
}

// cause returns the log attribute for an error: one line, also for errors that
// were joined, since some handlers write what they get.
func cause(err error) slog.Attr {
	return slog.String("cause", strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, strings.ReplaceAll(err.Error(), "\n", "; ")))
}
