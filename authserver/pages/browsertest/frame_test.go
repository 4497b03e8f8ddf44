package browsertest_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// No other site shows one of the pages in a frame, to have people click there
// without knowing. It is at another port of the same host, so that cookies come
// along; and from a copy of the pages that does not forbid it, it shows them.
func TestNoFrames(t *testing.T) {
	t.Parallel()
	w, o, b := newWorld(t), newOffice(t), open(t)
	b.get(w.authorize())
	b.signIn(password)
	b.sees(asks)
	b.get(o.url + "/admin/people")
	b.signIn(password)
	b.sees("People")

	pages := []struct{ name, url, says string }{
		{"sign-in", w.authorize("prompt", "login"), "Sign in"},
		{"consent", w.authorize(), asks},
		{"admin", o.url + "/admin/person/delete?id=" + o.bob.ID, "Delete this account?"},
	}
	var frames strings.Builder
	for _, p := range pages {
		for name, src := range map[string]string{p.name: p.url, "copy of " + p.name: frameable(t, p.url)} {
			fmt.Fprintf(&frames, `<iframe name="%s" src="%s"></iframe>`, name, html.EscapeString(src))
		}
	}
	evil := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!DOCTYPE html><title>Win a prize</title>", frames.String())
	}))
	b.get(strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)) // it is loaded when its frames are
	shown := b.framed()
	require.Len(t, shown, 2*len(pages))
	for _, p := range pages {
		assert.NotContains(t, shown[p.name], p.says)
		assert.Contains(t, shown[p.name], "refused to connect", p.name)
		assert.Contains(t, shown["copy of "+p.name], p.says)
	}
}

// frameable returns the address of a copy of a page, which any site may frame.
func frameable(t *testing.T, original string) string {
	u, err := url.Parse(original)
	require.NoError(t, err)
	target := &url.URL{Scheme: u.Scheme, Host: u.Host}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // that of a test
	t.Cleanup(transport.CloseIdleConnections)
	copied := serve(t, false, &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("X-Frame-Options")
			r.Header.Del("Content-Security-Policy")
			return nil
		},
	})
	at, err := url.Parse(copied.URL)
	require.NoError(t, err)
	u.Host = "localhost:" + at.Port()
	return u.String()
}

// framed returns what is to be read in each frame of the page, by its name.
func (b *tab) framed() map[string]string {
	b.t.Helper()
	texts := map[string]string{}
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		tree, err := cdp.Call(ctx, tab, page.GetFrameTree, cdp.Empty{})
		if err != nil {
			return err
		}
		for _, child := range tree.FrameTree.ChildFrames {
			world, err := cdp.Call(ctx, tab, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: child.Frame.ID})
			if err != nil {
				return fmt.Errorf("frame %s: %w", child.Frame.Name, err)
			}
			found, err := cdp.Call(ctx, tab, runtime.Evaluate, runtime.EvaluateParams{Expression: "document.body.innerText", ContextID: world.ExecutionContextID})
			if err != nil {
				return err
			}
			var text string
			if err := json.Unmarshal(found.Result.Value, &text); err != nil {
				return err
			}
			texts[child.Frame.Name] = text
		}
		return nil
	}))
	return texts
}
