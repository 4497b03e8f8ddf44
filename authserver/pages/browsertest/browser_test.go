package browsertest_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// axePackage is what judges the pages. npm verifies what it downloads.
const axePackage = "axe-core@4.14.1"

// chrome is the browser that all tests share; each has its own cookies.
var chrome struct {
	once   sync.Once
	ctx    context.Context
	cancel func()
	axe    string
	err    error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if chrome.cancel != nil {
		chrome.cancel()
	}
	os.Exit(status)
}

// start starts the browser once.
func start() {
	path, err := findChromium()
	if err != nil {
		chrome.err = err
		return
	}
	if chrome.axe, chrome.err = axe(); chrome.err != nil {
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(900, 900),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("lang", "en-GB"),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	chrome.ctx, chrome.cancel = ctx, func() { cancel(); stop() }
	_, chrome.err = chromedp.Run(ctx, chromedp.Title())
}

func findChromium() (string, error) {
	for _, name := range []string{os.Getenv("SNECK_TEST_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no chromium (hint: apt-get install chromium)")
}

// axe returns the source of axe-core, which is downloaded once.
func axe() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	file := filepath.Join(cache, "sneck-test", strings.ReplaceAll(axePackage, "@", "-")+".js")
	if source, err := os.ReadFile(file); err == nil {
		return string(source), nil
	}
	dir, err := os.MkdirTemp("", "axe")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	npm := exec.Command("npm", "pack", "--silent", axePackage)
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack %s: %w: %s (hint: apt-get install npm)", axePackage, err, out)
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return "", fmt.Errorf("npm pack left %d files", len(archives))
	}
	source, err := unpack(archives[0], "package/axe.min.js")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	return source, os.WriteFile(file, []byte(source), 0o600)
}

func unpack(archive, name string) (string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return "", fmt.Errorf("%s is not in %s: %w", name, archive, err)
		}
		if h.Name == name {
			source, err := io.ReadAll(io.LimitReader(r, 8<<20))
			return string(source), err
		}
	}
}

// A tab is a tab of the browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// open opens a tab of somebody whose browser has no cookies yet.
func open(t *testing.T) *tab {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes long")
	}
	chrome.once.Do(start)
	if chrome.err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(chrome.err)
		}
		t.Skip(chrome.err)
	}
	ctx, cancel := chromedp.NewContext(chrome.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	return ready(t, ctx)
}

// another opens a tab beside this one, with the same cookies.
func (b *tab) another() *tab {
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	return ready(b.t, ctx)
}

// ready starts a tab that has the focus whatever others do: tests run beside each
// other, and of the tabs of one browser only one would have it.
func ready(t *testing.T, ctx context.Context) *tab {
	t.Helper()
	b := &tab{t, ctx}
	_, err := chromedp.Run(ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}))
	require.NoError(t, err)
	return b
}

// patience is how long a page may take on a busy machine.
const patience = time.Minute

// do runs actions, all of which have to succeed.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	run(b, chromedp.Steps(actions...))
}

// run runs an action that has to succeed, and returns its value.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.text())
	}
	return value
}

// eval evaluates a script.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// text returns what is to be read on the page, for messages.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	where, _ := chromedp.Run(ctx, chromedp.Location())
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	return where + "\n" + text
}

func (b *tab) get(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// sees waits for a page with the heading.
func (b *tab) sees(heading string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.Search(fmt.Sprintf(`//h1[normalize-space()=%q]`, heading))))
}

// reads waits for a text somewhere on the page.
func (b *tab) reads(text string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.Search(fmt.Sprintf(`//main//*[text()[contains(., %q)]]`, text))))
}

// click clicks a button or link by its text.
func (b *tab) click(text string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.Search(fmt.Sprintf(`//*[self::button or self::a][normalize-space()=%q]`, text)), chromedp.NodeVisible))
}

func (b *tab) fill(id, text string) {
	b.t.Helper()
	eval[chromedp.Void](b, fmt.Sprintf(`document.getElementById(%q).value = ""`, id))
	b.do(chromedp.SendKeys("#"+id, text))
}

func (b *tab) where() string {
	b.t.Helper()
	return run(b, chromedp.Location())
}

// phone gives the tab a screen as that of a phone.
func (b *tab) phone() {
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulateScale(2)))
}

// A violation is what axe-core finds.
type violation struct {
	ID    string   `json:"id"`
	Help  string   `json:"help"`
	Nodes []string `json:"nodes"`
}

// runAxe runs axe-core; what is left to judge in the dark are the colours.
const runAxe = `axe.run(document, {runOnly: matchMedia("(prefers-color-scheme: dark)").matches ? ['color-contrast', 'link-in-text-block'] :
  ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r =>
  r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html + ' ' + n.failureSummary)})))`

// listUntidy lists what looks untidy: notes, fields and groups too close to what
// is above them, names and their values on different lines, and a navigation
// below the name of the site on a screen that has room for both.
const listUntidy = `(async () => { if (document.readyState !== "complete") await new Promise(loaded => addEventListener("load", loaded));
  const untidy = [], box = e => e.getBoundingClientRect();
  const line = e => { const r = document.createRange(); r.selectNodeContents(e); return [...r.getClientRects()].find(b => b.height > 0) };
  for (const e of document.querySelectorAll("main .note, main .field, main fieldset, main dl:not(.cards dl), main .buttons")) {
    let above = e.previousElementSibling;
    while (above && !above.checkVisibility()) above = above.previousElementSibling;
    if (above && e.checkVisibility() && Math.abs(box(above).left - box(e).left) < 1 && box(e).top - box(above).bottom < 12)
      untidy.push("too close: " + e.outerHTML.slice(0, 60));
  }
  for (const e of document.querySelectorAll("dt")) {
    const name = line(e), value = line(e.nextElementSibling);
    if (name && value && value.left > name.right && Math.abs(name.bottom - value.bottom) > 1) untidy.push("not on one line: " + e.innerText);
  }
  const site = box(document.querySelector(".site"));
  if (innerWidth >= 800 && [...document.querySelectorAll("header nav > *")].some(e => box(e).top > site.bottom)) untidy.push("the navigation is below the name");
  return untidy })()`

// judge looks at a page in light and dark: axe-core must find nothing, the
// page must not be too heavy, too wide or untidy, and the keyboard must reach
// everything. It leaves screenshots.
func (b *tab) judge(name string) {
	b.t.Helper()
	weight := eval[float64](b, `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].reduce((sum, e) => sum + e.encodedBodySize, 0)`)
	assert.Positive(b.t, weight, name)
	assert.LessOrEqual(b.t, weight, 50.0*1024, "%s weighs too much", name)
	assert.False(b.t, eval[bool](b, `document.documentElement.scrollWidth > document.documentElement.clientWidth`), "%s is wider than the screen", name)
	assert.Empty(b.t, eval[[]string](b, listUntidy), name)
	b.tabThrough(name)
	eval[chromedp.Void](b, chrome.axe)
	for _, scheme := range []string{"light", "dark"} {
		b.emulate(scheme)
		assert.Empty(b.t, eval[[]violation](b, runAxe), "%s in %s", name, scheme)
		b.screenshot(name + "-" + scheme)
	}
	b.emulate("")
}

// emulate has the user prefer light or dark.
func (b *tab) emulate(scheme string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

func (b *tab) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("SNECK_ARTEFACTS")
	if dir == "" {
		return
	}
	image := run(b, chromedp.FullScreenshot(100))
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), image, 0o644))
}
