package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sneckauth/sneck/internal/strictjson"
)

// A route is one operation of the API.
type route struct {
	method, path string
	// id and summary describe it.
	id, summary string
	// query lists the parameters that it takes.
	query []parameter
	// body and result are zero values of what it takes and returns, nil for
	// nothing.
	body, result any
	status       int
	// tagged says that the result has a version, and versioned that it must be
	// named.
	tagged, versioned bool
	serve             func(c *call) (any, error)
}

// A parameter is one of the query.
type parameter struct {
	name, text string
	// kind is "string", "integer" or "date-time"; several may be given if
	// repeated is set.
	kind     string
	repeated bool
}

// A call is a request that is being answered.
type call struct {
	*http.Request
	ops   *Operations
	query url.Values
	body  []byte
	// version is what If-Match asks for; empty for any.
	version string
	// tag is the version of the result.
	tag string
}

const (
	// maxBody is the longest body that is read, in bytes.
	maxBody = 256 << 10
	// maxQuery is the longest query.
	maxQuery = 8 << 10
)

// answer serves a request of who may.
func (a *API) answer(w http.ResponseWriter, r *http.Request, route route) {
	by, _ := r.Context().Value(byKey{}).(string)
	c := &call{Request: r, ops: a.ops.As(by)}
	err := c.read(w, route)
	var result any
	if err == nil {
		result, err = route.serve(c)
	}
	var data []byte
	if route.result != nil && (err == nil || result != nil && errors.Is(err, ErrNotRecorded)) {
		var encodeErr error
		if data, encodeErr = encode(result); encodeErr != nil {
			data, err = nil, errors.Join(err, encodeErr)
		}
	}
	if err != nil {
		// It may hold the only copy of a secret that works.
		a.refuse(w, r, err, bytes.TrimSpace(data))
		return
	}
	if c.tag != "" {
		w.Header().Set("ETag", strconv.Quote(c.tag))
	}
	if route.result == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(route.status)
	_, _ = w.Write(data) // a client that is gone needs no answer
}

func badRequest(status int, format string, args ...any) error {
	return &problem{Status: status, Detail: fmt.Sprintf(format, args...)}
}

// read checks the form of a request.
func (c *call) read(w http.ResponseWriter, route route) error {
	if err := c.readQuery(route); err != nil {
		return err
	}
	if err := c.readVersion(route); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Body, maxBody))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return badRequest(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes (hint: leave out what is not needed)", maxBody)
	case err != nil:
		return badRequest(http.StatusBadRequest, "the body could not be read (hint: send it again)")
	case route.body == nil && len(body) > 0:
		return badRequest(http.StatusBadRequest, "the operation takes no body (hint: leave it out)")
	case route.body == nil:
		return nil
	}
	if media, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return badRequest(http.StatusUnsupportedMediaType, "the body is not JSON (hint: Content-Type: application/json)")
	}
	c.body = body
	return nil
}

func (c *call) readQuery(route route) error {
	query, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil || len(c.URL.RawQuery) > maxQuery {
		return badRequest(http.StatusBadRequest, "the query is malformed or too long (hint: name=value, with & between)")
	}
	for name, values := range query {
		i := slices.IndexFunc(route.query, func(p parameter) bool { return p.name == name })
		switch {
		case i < 0:
			return badRequest(http.StatusBadRequest, "there is no parameter %q here (hint: %s)", name, names(route.query))
		case len(values) > 1 && !route.query[i].repeated:
			return badRequest(http.StatusBadRequest, "the parameter %q is there twice (hint: give it once)", name)
		}
	}
	c.query = query
	return nil
}

func names(parameters []parameter) string {
	if len(parameters) == 0 {
		return "it takes none"
	}
	list := make([]string, len(parameters))
	for i, p := range parameters {
		list[i] = p.name
	}
	return strings.Join(list, ", ")
}

// readVersion reads If-Match (RFC 9110, section 13.1.1).
func (c *call) readVersion(route route) error {
	if !route.versioned {
		return nil
	}
	fields := c.Header.Values("If-Match")
	switch {
	case len(fields) == 0:
		return badRequest(http.StatusPreconditionRequired, "If-Match is missing (hint: the ETag of what you have read, or * to overwrite whatever is there)")
	case len(fields) == 1 && fields[0] == "*":
		return nil
	case len(fields) == 1 && len(fields[0]) > 2 && fields[0][0] == '"' && strings.IndexByte(fields[0][1:], '"') == len(fields[0])-2:
		c.version = fields[0][1 : len(fields[0])-1]
		return nil
	}
	return badRequest(http.StatusBadRequest, "If-Match is not one strong tag (hint: the ETag as it was sent, with its quotes)")
}

// decode reads a body: known names only, and each once.
func decode[T any](c *call) (v T, err error) {
	if err := strictjson.UnmarshalKnown(c.body, &v); err != nil {
		return v, badRequest(http.StatusBadRequest, "the body is not as it should be: %v (hint: %s)", err, documentPath)
	}
	return v, nil
}

// limit returns how many the caller wants.
func (c *call) limit() (int, error) {
	text := c.query.Get("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > MaxPage {
		return 0, badRequest(http.StatusBadRequest, "the limit is not a number from 1 to %d (hint: leave it out)", MaxPage)
	}
	return n, nil
}

// time returns a moment of the query.
func (c *call) time(name string) (time.Time, error) {
	text := c.query.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, badRequest(http.StatusBadRequest, "the parameter %q is not a time (hint: such as 2030-01-31T12:00:00Z)", name)
	}
	return t, nil
}
