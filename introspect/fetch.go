package introspect

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// A fetcher makes requests that no token of a client is part of: for
// metadata, keys and access tokens of our own. Nobody's request waits for
// most of them, so they are tried twice.
type fetcher struct{ http *retryablehttp.Client }

func newFetcher(transport http.RoundTripper) fetcher {
	return fetcher{&retryablehttp.Client{
		HTTPClient:   newHTTPClient(wire{next: transport, tries: new(atomic.Uint64)}),
		RetryMax:     1,
		CheckRetry:   checkFetch,
		Backoff:      backoffFetch,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}}
}

func checkFetch(ctx context.Context, r *http.Response, err error) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, nil
	case err != nil:
		return connectionLost(err), nil
	}
	unwell := r.StatusCode == http.StatusBadGateway || r.StatusCode == http.StatusServiceUnavailable
	return unwell && r.Header.Get("Retry-After") == "", nil
}

func backoffFetch(time.Duration, time.Duration, int, *http.Response) time.Duration {
	return 50*time.Millisecond + rand.N(150*time.Millisecond)
}

// do returns the response and its body, of which there may be less than all
// unless the status is 200. A nil form makes a GET.
func (f fetcher) do(ctx context.Context, url string, header http.Header, form []byte, limit int64) (*http.Response, []byte, error) {
	method := http.MethodGet
	var body any
	if form != nil {
		method, body = http.MethodPost, form
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, nil, describe(err)
	}
	request.Header = header
	response, err := f.http.Do(request)
	if response != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return nil, nil, describe(err)
	}
	data, err := readBody(response, limit)
	if response.StatusCode != http.StatusOK {
		err = nil // The status says enough.
	}
	return response, data, err
}
