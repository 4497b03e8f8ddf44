package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A line is what is told about one step of the story. Got is measured, never
// taken from Want.
type line struct {
	Step string `json:"step"`
	Want string `json:"want"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
	figures
}

// figures are what was measured besides.
type figures struct {
	// Millis is how long the step took.
	Millis float64 `json:"ms"`
	// Requests is how many were sent at once, and Waited how many of them
	// waited for the answer to one question.
	Requests int    `json:"requests,omitempty"`
	Waited   uint64 `json:"waited,omitempty"`
	// Introspections is how many the authorization server had meanwhile.
	Introspections *int64 `json:"introspections,omitempty"`
	// TTL is how long the API remembers, Last200 when the last admitted
	// request was sent, and Refused when the first refusal arrived, counted
	// from the revocation or from the last answer of the server.
	TTL     float64  `json:"ttl_ms,omitempty"`
	Last200 *float64 `json:"last_200_ms,omitempty"`
	Refused *float64 `json:"refused_ms,omitempty"`
	// RetryAfter is what the header of that name says, in seconds.
	RetryAfter int `json:"retry_after_s,omitempty"`
}

// write prints the line for people.
func (l line) write(w io.Writer, p palette) error {
	mark, got, note := p.green("ok  "), l.Got, ""
	if !l.OK {
		mark, note = p.red("FAIL"), "  "+p.red("should be: "+l.Want)
	}
	if l.Waited > 0 {
		note += fmt.Sprintf("  (%d waited for it)", l.Waited)
	}
	_, err := fmt.Fprintf(w, "%s  %s %s %s%s\n", mark, pad(l.Step, 34), pad(printable(got), 45),
		p.faint(fmt.Sprintf("%6.0f ms", l.Millis)), note)
	return err
}

// A story is the demo as a sequence of steps, all over HTTP.
type story struct {
	authority    *authority
	notes, brief *notesAPI
	client       client

	reader string // a token with notes:read
	cold   string // one that no API has seen when the server stops
	warm   string // one that both APIs remember then
	// The brief API asked about warm after warming, and before warmed.
	warming, warmed time.Time
}

func newStory(s *scene) *story {
	return &story{authority: s.authority, notes: s.apis[0], brief: s.apis[1], client: newClient(10)}
}

// A step fills in Want first, so that it is told even if the step fails with
// an error.
type step struct {
	name string
	play func(context.Context, *line) error
}

func (s *story) steps() []step {
	return []step{
		{"token issued", s.tokenIssued},
		{"GET with notes:read", s.readAllowed},
		{"GET again, from the cache", s.readCached},
		{"POST without notes:write", s.writeRefused},
		{"POST with notes:write", s.writeAllowed},
		{"GET without a token", s.noToken},
		{"GET with garbage", s.garbage},
		{"GET with two tokens", s.twoTokens},
		{fmt.Sprintf("%d GETs at once, one cold token", crowdSize), s.crowd},
		{"GET with a revoked token", s.revoked},
		{"server stopped, cold token", s.outageUnknown},
		{"server stopped, warm token", s.outageKnown},
		{"server stopped, token forgotten", s.outageForgotten},
	}
}

// play plays the steps and tells each. It returns how many went as they
// should, of how many. The error is that of telling, or of ctx.
func (s *story) play(ctx context.Context, tell func(line) error) (good, all int, err error) {
	defer s.client.CloseIdleConnections()
	steps := s.steps()
	for _, step := range steps {
		began := time.Now()
		l := line{Step: step.name}
		if err := step.play(ctx, &l); err != nil {
			l.OK, l.Got = false, strings.TrimSpace(l.Got+" "+explainError(err))
		}
		if err := ctx.Err(); err != nil {
			return good, len(steps), errors.New("the demo was interrupted")
		}
		l.Millis = millis(time.Since(began))
		if l.OK {
			good++
		}
		if err := tell(l); err != nil {
			return good, len(steps), err
		}
	}
	return good, len(steps), nil
}

func millis(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

func explainError(err error) string {
	if strings.Contains(err.Error(), "too many open files") {
		return err.Error() + " (hint: ulimit -n 4096)"
	}
	return err.Error()
}

// is sets what was got, and whether it is what was wanted.
func (l *line) is(got string) { l.Got, l.OK = got, got == l.Want }

func (s *story) tokenIssued(ctx context.Context, l *line) error {
	l.Want = "200, Bearer, notes:read, for 1h0m0s"
	t, status, err := s.issue(ctx, scopeRead)
	if err != nil {
		return err
	}
	s.reader = t.AccessToken
	l.is(fmt.Sprintf("%d, %s, %s, for %v", status, t.TokenType, t.Scope, time.Duration(t.ExpiresIn)*time.Second))
	return nil
}

func (s *story) readAllowed(ctx context.Context, l *line) error {
	l.Want = "200, 1 introspection"
	return s.countedRead(ctx, l)
}

func (s *story) readCached(ctx context.Context, l *line) error {
	l.Want = "200, 0 introspections"
	return s.countedRead(ctx, l)
}

func (s *story) countedRead(ctx context.Context, l *line) error {
	before := s.authority.introspections.Load()
	a, err := s.get(ctx, s.notes, s.reader)
	if err != nil {
		return err
	}
	n := s.authority.introspections.Load() - before
	l.Introspections = &n
	l.is(fmt.Sprintf("%d, %s", a.status, introspections(n)))
	return nil
}

func introspections(n int64) string {
	if n == 1 {
		return "1 introspection"
	}
	return fmt.Sprintf("%d introspections", n)
}

func (s *story) writeRefused(ctx context.Context, l *line) error {
	l.Want = `403, insufficient_scope, scope="notes:write"`
	a, err := s.write(ctx, s.notes, s.reader)
	if err != nil {
		return err
	}
	l.is(fmt.Sprintf("%s, scope=%q", a.refusal(), a.challenge("scope")))
	return nil
}

func (s *story) writeAllowed(ctx context.Context, l *line) error {
	l.Want = "201"
	t, _, err := s.issue(ctx, scopeRead+" "+scopeWrite)
	if err != nil {
		return err
	}
	a, err := s.write(ctx, s.notes, t.AccessToken)
	if err != nil {
		return err
	}
	l.is(strconv.Itoa(a.status))
	return nil
}

func (s *story) noToken(ctx context.Context, l *line) error {
	l.Want = `401, realm="notes"`
	a, err := s.get(ctx, s.notes)
	if err != nil {
		return err
	}
	l.is(fmt.Sprintf("%s, realm=%q", a.refusal(), a.challenge("realm")))
	return nil
}

func (s *story) garbage(ctx context.Context, l *line) error {
	l.Want = "401, invalid_token, 0 introspections"
	before := s.authority.introspections.Load()
	a, err := s.get(ctx, s.notes, "garbage")
	if err != nil {
		return err
	}
	n := s.authority.introspections.Load() - before
	l.Introspections = &n
	l.is(fmt.Sprintf("%s, %s", a.refusal(), introspections(n)))
	return nil
}

func (s *story) twoTokens(ctx context.Context, l *line) error {
	l.Want = "400, invalid_request"
	a, err := s.get(ctx, s.notes, s.reader, s.reader)
	if err != nil {
		return err
	}
	l.is(a.refusal())
	return nil
}

// crowdSize is how many requests come at once.
const crowdSize = 1000

// crowd sends many requests at once. The server holds its answer until all of
// them have arrived at the API, so that they are many at once on every
// machine, or until some time has passed.
func (s *story) crowd(ctx context.Context, l *line) error {
	l.Want = fmt.Sprintf("%d x 200, 1 introspection", crowdSize)
	l.Requests = crowdSize
	t, _, err := s.issue(ctx, scopeRead)
	if err != nil {
		return err
	}
	hold := &holding{released: make(chan struct{}), patience: patience / 2}
	arrivals := &countdown{hold: hold}
	arrivals.left.Store(crowdSize)
	s.notes.arrived.Store(arrivals)
	s.authority.hold.Store(hold)
	defer s.authority.hold.Store(nil)
	defer s.notes.arrived.Store(nil)

	asked, waited := s.authority.introspections.Load(), s.notes.cache.Stats().Coalesced
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	together := s.withConnections(crowdSize)
	defer together.client.CloseIdleConnections()
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		statuses = map[int]int{}
		failures []error
	)
	for range crowdSize {
		wg.Go(func() {
			a, err := together.get(ctx, s.notes, t.AccessToken)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = append(failures, err)
				cancel() // one is too many, so don't wait for the others
				return
			}
			statuses[a.status]++
		})
	}
	wg.Wait()
	n := s.authority.introspections.Load() - asked
	l.Introspections, l.Waited = &n, s.notes.cache.Stats().Coalesced-waited
	l.is(fmt.Sprintf("%s, %s", tally(statuses), introspections(n)))
	if len(failures) > 0 {
		return fmt.Errorf("and %d failed, the first by: %w", len(failures), failures[0])
	}
	return nil
}

// withConnections returns the story with a client for many requests at once.
func (s *story) withConnections(n int) *story {
	other := *s
	other.client = newClient(n)
	return &other
}

// tally counts the answers by status.
func tally(statuses map[int]int) string {
	if len(statuses) == 0 {
		return "no answers"
	}
	var parts []string
	for status := range 600 {
		if n := statuses[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d x %d", n, status))
		}
	}
	return strings.Join(parts, ", ")
}

// revoked revokes a token that the API remembers. The bound holds for the
// moment at which a request was sent: on a busy machine, answers may come
// later.
func (s *story) revoked(ctx context.Context, l *line) error {
	l.Want = fmt.Sprintf("401, invalid_token, last 200 within %v", s.brief.ttl)
	l.TTL = millis(s.brief.ttl)
	t, _, err := s.issue(ctx, scopeRead)
	if err != nil {
		return err
	}
	if err := s.warmUp(ctx, s.brief, t.AccessToken); err != nil {
		return err
	}
	a, err := s.client.post(ctx, s.authority.url+"/revoke", s.authority.app, url.Values{"token": {t.AccessToken}})
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("the revocation was answered with status %d", a.status)
	}
	w, err := s.watch(ctx, s.brief, t.AccessToken, time.Now())
	if err != nil {
		return err
	}
	l.Last200, l.Refused = ms(w.last), ms(w.refused)
	l.Got = fmt.Sprintf("%s, %s", w.answer.refusal(), w.lastAdmitted())
	l.OK = w.answer.status == http.StatusUnauthorized && w.answer.challenge("error") == "invalid_token" && w.last < s.brief.ttl
	return nil
}

// outageUnknown makes both APIs remember a token, stops the server, and comes
// with a token that they have not seen.
func (s *story) outageUnknown(ctx context.Context, l *line) error {
	l.Want = "503, with Retry-After"
	for _, t := range []*string{&s.cold, &s.warm} {
		issued, _, err := s.issue(ctx, scopeRead)
		if err != nil {
			return err
		}
		*t = issued.AccessToken
	}
	if err := s.warmUp(ctx, s.notes, s.warm); err != nil {
		return err
	}
	s.warming = time.Now()
	if err := s.warmUp(ctx, s.brief, s.warm); err != nil {
		return err
	}
	s.warmed = time.Now()
	if err := s.authority.stop(); err != nil {
		return err
	}
	a, err := s.get(ctx, s.notes, s.cold)
	if err != nil {
		return err
	}
	l.RetryAfter = a.retryAfter()
	l.is(strconv.Itoa(a.status) + withRetryAfter(a))
	return nil
}

func withRetryAfter(a *answer) string {
	if a.retryAfter() > 0 {
		return ", with Retry-After"
	}
	return ""
}

func (s *story) outageKnown(ctx context.Context, l *line) error {
	l.Want = "200"
	a, err := s.get(ctx, s.notes, s.warm)
	if err != nil {
		return err
	}
	l.is(strconv.Itoa(a.status))
	return nil
}

// outageForgotten watches the token that the brief API remembers, until it is
// refused. It must be neither sooner nor later than the TTL after the API
// asked about it, which was while the request that made it ask was under way.
func (s *story) outageForgotten(ctx context.Context, l *line) error {
	ttl := s.brief.ttl
	l.Want = fmt.Sprintf("503, with Retry-After, not before %v", ttl)
	l.TTL = millis(ttl)
	w, err := s.watch(ctx, s.brief, s.warm, s.warming)
	if err != nil {
		return err
	}
	l.Last200, l.Refused = ms(w.last), ms(w.refused)
	l.RetryAfter = w.answer.retryAfter()
	l.Got = fmt.Sprintf("%d%s, after %.2f s", w.answer.status, withRetryAfter(w.answer), w.refused.Seconds())
	l.OK = w.answer.status == http.StatusServiceUnavailable && w.answer.retryAfter() > 0 &&
		w.refused >= ttl && w.last < ttl+s.warmed.Sub(s.warming)
	return nil
}

// warmUp makes an API remember a token.
func (s *story) warmUp(ctx context.Context, api *notesAPI, token string) error {
	a, err := s.get(ctx, api, token)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("the first GET was answered with status %d", a.status)
	}
	return nil
}

// A watched is how a token went out of use.
type watched struct {
	last    time.Duration // when the last admitted request was sent; -1 if none
	refused time.Duration // when the first refusal arrived
	answer  *answer       // the refusal
}

func (w watched) lastAdmitted() string {
	if w.last < 0 {
		return "no 200"
	}
	return fmt.Sprintf("last 200 after %.2f s", w.last.Seconds())
}

// watch sends requests with a token, one after the other, until one is
// refused. Times are counted from a moment in the past.
func (s *story) watch(ctx context.Context, api *notesAPI, token string, from time.Time) (watched, error) {
	w := watched{last: -1}
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	limit := api.ttl + patience
	for {
		sent := time.Since(from)
		a, err := s.get(ctx, api, token)
		if err != nil {
			return w, err
		}
		if a.status != http.StatusOK {
			w.refused, w.answer = time.Since(from), a
			return w, nil
		}
		if w.last = sent; sent > limit {
			return w, fmt.Errorf("the token was still admitted after %v", limit)
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return w, ctx.Err()
		}
	}
}

func ms(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	m := millis(d)
	return &m
}

// issue gets a token.
func (s *story) issue(ctx context.Context, scope string) (*tokenAnswer, int, error) {
	a, err := s.client.post(ctx, s.authority.url+"/token", s.authority.app,
		url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
	if err != nil {
		return nil, 0, err
	}
	t, err := a.token()
	return t, a.status, err
}

// get reads the notes, with any number of tokens.
func (s *story) get(ctx context.Context, api *notesAPI, tokens ...string) (*answer, error) {
	return s.call(ctx, http.MethodGet, api, "", tokens)
}

// write writes a note.
func (s *story) write(ctx context.Context, api *notesAPI, token string) (*answer, error) {
	return s.call(ctx, http.MethodPost, api, "buy milk", []string{token})
}

func (s *story) call(ctx context.Context, method string, api *notesAPI, body string, tokens []string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, api.url+"/notes", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, token := range tokens {
		r.Header.Add("Authorization", "Bearer "+token)
	}
	return s.client.send(r)
}

// refusal returns the status, and the error code of the challenge if there is
// one.
func (a *answer) refusal() string {
	if code := a.challenge("error"); code != "" {
		return fmt.Sprintf("%d, %s", a.status, code)
	}
	return strconv.Itoa(a.status)
}

// challenge returns a parameter of the challenge, or "" if there is none.
func (a *answer) challenge(name string) string {
	for _, m := range parameter.FindAllStringSubmatch(a.header.Get("WWW-Authenticate"), -1) {
		if m[1] == name {
			return m[2]
		}
	}
	return ""
}

// retryAfter returns the seconds in the header of that name, or 0.
func (a *answer) retryAfter() int {
	n, _ := strconv.Atoi(a.header.Get("Retry-After"))
	return n
}

var parameter = regexp.MustCompile(`(\w+)="([^"]*)"`)
