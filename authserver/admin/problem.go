package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A problem is a refusal as it is sent (RFC 9457).
type problem struct {
	// Title is the text of the status.
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong, and ends with a hint.
	Detail string `json:"detail"`
	// Result is what there would be instead, if it was done and could not be
	// recorded; not there in any other case.
	Result json.RawMessage `json:"result,omitempty"`

	// challenge is the WWW-Authenticate header.
	challenge string
	// retryAfter is the Retry-After header of a 429.
	retryAfter time.Duration
}

func (p *problem) Error() string { return "admin: " + p.Detail }

// problemOf returns how an error is told. What is not for the one who asks is
// in the log.
func problemOf(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	status := http.StatusServiceUnavailable
	for kind, s := range map[error]int{
		ErrNotFound: http.StatusNotFound, ErrAbsent: http.StatusNotFound, ErrExists: http.StatusConflict,
		ErrChanged: http.StatusPreconditionFailed, ErrInvalid: http.StatusUnprocessableEntity,
	} {
		if errors.Is(err, kind) {
			status = s
		}
	}
	var known *refusal
	switch {
	case errors.Is(err, ErrNotRecorded):
		return &problem{Status: http.StatusServiceUnavailable, Detail: "it was done, but could not be recorded (hint: do not repeat it, and look at the server's log)"}
	case errors.Is(err, ErrTakenBack):
		return &problem{Status: http.StatusServiceUnavailable, Detail: "it could not be recorded, so it was taken back (hint: look at the server's log)"}
	case status == http.StatusServiceUnavailable || !errors.As(err, &known):
		return &problem{Status: http.StatusServiceUnavailable, Detail: "the server can not do it at the moment (hint: look at its log)"}
	}
	return &problem{Status: status, Detail: known.text}
}

// encode returns JSON and a line feed. It is for programs and people, never for
// a page, so it need not be escaped for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// refuse is the one place that turns an error into an answer. A result is that
// of what was done all the same.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error, result json.RawMessage) {
	p := *problemOf(err)
	p.Title, p.Result = http.StatusText(p.Status), result
	h := w.Header()
	switch {
	case p.challenge != "":
		h.Set("WWW-Authenticate", p.challenge)
	case p.retryAfter > 0:
		h.Set("Retry-After", strconv.FormatInt(int64((p.retryAfter+time.Second-1)/time.Second), 10)) // rounded up
	case p.Status == http.StatusServiceUnavailable && !errors.Is(err, ErrNotRecorded): // which would be done twice
		h.Set("Retry-After", "1")
	}
	a.logRefusal(r, p.Status, err)
	data, err := encode(p)
	if err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(data) // a client that is gone needs no answer
}

func (a *API) logRefusal(r *http.Request, status int, err error) {
	level := slog.LevelInfo
	switch {
	case status == http.StatusTooManyRequests:
		level = slog.LevelDebug // the server has said so, once
	case status >= 500:
		level = slog.LevelError
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		level = slog.LevelWarn
	}
	// What somebody without a token has sent as a path is not repeated.
	a.log.LogAttrs(r.Context(), level, "admin request refused", slog.Int("status", status), slog.String("method", r.Method),
		slog.String("pattern", r.Pattern), slog.String("cause", strings.ReplaceAll(err.Error(), "\n", "; ")))
}
