package introspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// A call is one question with all its tries.
type call struct {
	client    *Client
	token     string
	issuer    string
	endpoints []*endpoint

	// The current try.
	at     *endpoint
	visit  visit // of at, until it is left
	header http.Header
	body   []byte

	repeated, renewed bool
	signed            bool          // the next try is ready
	wait              time.Duration // before the next try
}

// ask returns the body of a definite answer, or an error of one of the three
// kinds.
func (c *Client) ask(ctx context.Context, token string) ([]byte, error) {
	endpoints, err := c.where(ctx)
	if err != nil {
		return nil, failed(ctx, err)
	}
	q := &call{client: c, token: token, issuer: c.cfg.Issuer, endpoints: endpoints}
	visit, wait, ok := enter(q.endpoints, nil, c.now())
	if !ok {
		c.counters.broken.Add(1)
		return nil, unavailable(wait, errBroken)
	}
	q.at, q.visit = visit.at, visit
	defer c.leave(ctx, &q.visit, unknown)
	if err := q.sign(ctx, ""); err != nil {
		if errors.Is(err, ErrCredentials) {
			q.alarm(ctx)
		}
		return nil, failed(ctx, err)
	}
	c.budget.earn()
	response, err := q.exchange(ctx)
	if response != nil {
		defer response.Body.Close()
	}
	if err != nil {
		q.leave(ctx, blame(ctx, err))
		return nil, failed(ctx, err)
	}
	return q.judge(ctx, response)
}

var errBroken = &exchangeError{"the authority failed many times in a row and is left alone for a while", nil}

// exchange sends the tries by a client of their own, whose hooks know the
// call. The transport is shared.
func (q *call) exchange(ctx context.Context) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "", nil)
	if err != nil {
		return nil, err
	}
	request.URL, request.Host, request.Header = q.at.url, q.at.url.Host, q.header
	repeatable := &retryablehttp.Request{Request: request}
	// A reader for each try: retryablehttp would let the tries share one.
	if err := repeatable.SetBody(retryablehttp.ReaderFunc(q.reader)); err != nil {
		return nil, err
	}
	retrying := retryablehttp.Client{
		HTTPClient:   q.client.http,
		RetryMax:     maxRepeats,
		CheckRetry:   q.check,
		Backoff:      q.backoff,
		PrepareRetry: q.prepare,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return retrying.Do(repeatable)
}

// sign makes header and body of a try. The ones of the try before may still
// be read by its connection and are left alone.
func (q *call) sign(ctx context.Context, refused string) error {
	c := q.client
	form := make(url.Values, 3+len(c.cfg.Parameters))
	for name, values := range c.cfg.Parameters {
		form[name] = values
	}
	form["token"] = []string{q.token}
	if c.cfg.TokenTypeHint != "" {
		form["token_type_hint"] = []string{c.cfg.TokenTypeHint}
	}
	header := make(http.Header, len(c.header)+1)
	for name, values := range c.header {
		header[name] = values
	}
	r := Request{Issuer: q.issuer, URL: q.at.text, Header: header, Form: form, Refused: refused}
	if err := c.cfg.Credential.Sign(ctx, &r); err != nil {
		return &signError{fmt.Errorf("introspect: the request could not be signed: %w", err)}
	}
	q.header, q.body = r.Header, []byte(r.Form.Encode())
	return nil
}

// reader is called by retryablehttp once for every try.
func (q *call) reader() (io.Reader, error) { return bytes.NewReader(q.body), nil }

func (q *call) leave(ctx context.Context, how verdict) { q.client.leave(ctx, &q.visit, how) }

// errDeadline is the cause of a context that met the deadline of the Client, and
// not a sooner one of the asker.
var errDeadline = &exchangeError{"no answer in time", context.DeadlineExceeded}

// blame is the verdict on an endpoint that has not answered: the fault is its
// own unless the asker went away first or the request was never sent.
func blame(ctx context.Context, err error) verdict {
	var unsigned *signError
	if errors.As(err, &unsigned) || ctx.Err() != nil && context.Cause(ctx) != errDeadline {
		return unknown
	}
	return sick
}
