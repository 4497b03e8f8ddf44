package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authtest"
)

// Prometheus is told what was decided, remembered and asked, at an address of
// its own, and nothing that a client says.
func TestGuardMetrics(t *testing.T) {
	authority := authtest.NewServer(t)
	g := startGuard(t, guardFile(t, authority, echoing(t), "metrics_listen: 127.0.0.1:0"), nil)
	var metrics string
	require.Eventually(t, func() bool {
		found := regexp.MustCompile(`about=metrics address=(\S+)`).FindSubmatch(g.log.bytes())
		if found != nil {
			metrics = "http://" + string(found[1]) + "/metrics"
		}
		return found != nil
	}, 10*time.Second, 10*time.Millisecond)

	token, fresh := authority.Token(t, "read"), authority.Token(t, "read")
	assert.Equal(t, 200, status(t, "GET", g.url+"/songs", token))
	assert.Equal(t, 200, status(t, "GET", g.url+"/songs", token))
	assert.Equal(t, 403, status(t, "PUT", g.url+"/songs", token))
	assert.Equal(t, 401, status(t, "GET", g.url+"/songs", ""))
	assert.Equal(t, 401, status(t, "GET", g.url+"/songs", "unknown"))
	authority.Down()
	assert.Equal(t, 503, status(t, "GET", g.url+"/songs", fresh))

	response, body := request(t, "GET", metrics, "")
	require.Equal(t, 200, response.StatusCode)
	assert.Equal(t, 200, status(t, "GET", g.url+"/metrics", token), "that of the service is the service's")
	assert.Contains(t, body, "\ngo_goroutines ")
	var ours, names []string
	for line := range strings.Lines(body) {
		name, _, _ := strings.Cut(line, " ")
		switch {
		case !strings.HasPrefix(line, "sneck_"):
		case strings.Contains(name, "_duration_seconds_"), strings.HasSuffix(name, "_size_bytes"), strings.HasPrefix(name, "sneck_introspection_requests"):
		default:
			ours = append(ours, strings.TrimSpace(line))
		}
		if of, found := strings.CutPrefix(line, "# TYPE sneck_"); found {
			name, _, _ := strings.Cut(of, " ")
			names = append(names, "sneck_"+name)
		}
	}
	assert.Equal(t, []string{
		`sneck_cache_lookups_total{result="hit"} 2`,
		`sneck_cache_lookups_total{result="inactive_hit"} 0`,
		`sneck_cache_lookups_total{result="miss"} 3`,
		`sneck_cache_shared_faults_total{fault="behind"} 0`,
		`sneck_cache_shared_faults_total{fault="failed"} 0`,
		`sneck_cache_shared_faults_total{fault="forged"} 0`,
		`sneck_cache_shared_faults_total{fault="skipped"} 0`,
		`sneck_cache_shared_hits_total 0`,
		`sneck_cache_stale_total 0`,
		`sneck_guard_decisions_total{outcome="allowed",reason="admitted"} 2`,
		`sneck_guard_decisions_total{outcome="refused",reason="invalid"} 1`,
		`sneck_guard_decisions_total{outcome="refused",reason="no_token"} 1`,
		`sneck_guard_decisions_total{outcome="refused",reason="scope"} 1`,
		`sneck_guard_decisions_total{outcome="refused",reason="unavailable"} 1`,
		`sneck_introspection_faults_total{fault="bad_answer"} 0`,
		`sneck_introspection_faults_total{fault="broken"} 0`,
		`sneck_introspection_faults_total{fault="credentials_refused"} 0`,
		`sneck_introspection_faults_total{fault="limited"} 0`,
		`sneck_introspection_faults_total{fault="timeout"} 0`,
		`sneck_introspection_questions_total{result="active"} 1`,
		`sneck_introspection_questions_total{result="invalid"} 1`,
		`sneck_introspection_questions_total{result="malformed"} 0`,
		`sneck_introspection_questions_total{result="unavailable"} 1`,
		`sneck_introspection_questions_total{result="unrecognized"} 0`,
		`sneck_introspection_questions_total{result="withdrawn"} 0`,
	}, ours)

	docs, err := os.ReadFile("../../docs/guard.md")
	require.NoError(t, err)
	var documented []string
	for _, found := range regexp.MustCompile("\\| `(sneck_[a-z_]+)`").FindAllSubmatch(docs, -1) {
		documented = append(documented, string(found[1]))
	}
	slices.Sort(documented)
	assert.Equal(t, names, documented)
}
