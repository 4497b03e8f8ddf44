package introspect

import (
	"context"
	"net/url"
	"time"
)

// An endpoint is one URL of the authority, with its health.
type endpoint struct {
	url     *url.URL
	text    string
	breaker breaker
}

func newEndpoint(u *url.URL, breakAfter int) *endpoint {
	return &endpoint{url: u, text: u.String(), breaker: breaker{after: breakAfter}}
}

// A visit is the part of a call at one endpoint.
type visit struct {
	at    *endpoint
	round uint64
}

// enter visits the first endpoint that can be asked, passing over skip. If
// there is none, it returns how long to wait.
func enter(endpoints []*endpoint, skip *endpoint, now time.Time) (v visit, wait time.Duration, ok bool) {
	for i, e := range endpoints {
		if e == skip {
			continue
		}
		round, w, ok := e.breaker.allow(now)
		if ok {
			return visit{e, round}, 0, true
		}
		if i == 0 || wait == 0 || w < wait {
			wait = w
		}
	}
	return visit{}, wait, false
}

// leave ends the visit. It may be called again without an effect.
func (c *Client) leave(ctx context.Context, v *visit, how verdict) {
	if v.at == nil {
		return
	}
	opened, closed := v.at.breaker.report(c.now(), v.round, how)
	if opened {
		c.counters.opened.Add(1)
		c.log.WarnContext(ctx, "introspect: the endpoint failed many times in a row and is left alone for a while", "authority", v.at.url.Host)
	}
	if closed {
		c.log.InfoContext(ctx, "introspect: the endpoint answers again", "authority", v.at.url.Host)
	}
	v.at = nil
}
