//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program starts itself as the server to compare with.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "empty" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The whole comparison, for a moment: what it measures is not looked at, but
// that there is something of everything.
func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a server")
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"compare", "--json", "--time", "300ms", "--turns", "2", "--warm-up", "0s", "--connections", "2", "--store", "sqlite"}, &out))
	var rows []row
	require.NoError(t, json.Unmarshal(out.Bytes(), &rows))
	seen := map[[2]string]bool{}
	for _, r := range rows {
		seen[[2]string{r.Target, r.Endpoint}] = true
		assert.Equal(t, 2, r.Connections)
		assert.Positive(t, r.PerSecond)
		assert.Positive(t, r.P50)
		assert.GreaterOrEqual(t, r.P99, r.P50)
		assert.Positive(t, r.ServerCPU)
		if r.Target != "signature alone" {
			assert.Positive(t, r.ServerMemory)
		}
	}
	assert.Equal(t, map[[2]string]bool{
		{"empty handler", endpointIntrospect}: true, {"sqlite", endpointIntrospect}: true,
		{"empty handler", endpointToken}: true, {"sqlite", endpointToken}: true,
		{"empty handler", endpointJWT}: true, {"signature alone", endpointJWT}: true, {"sqlite", endpointJWT}: true,
	}, seen)
}

func TestLook(t *testing.T) {
	start := time.Unix(1000, 0)
	var samples [][]sample
	for connection := range 2 {
		var list []sample
		for i := range 50 {
			n := 2*i + connection + 1 // 1 to 100
			list = append(list, sample{start.Add(time.Duration(n) * time.Second), time.Duration(n) * time.Millisecond})
		}
		samples = append(samples, list)
	}
	assert.Equal(t, phase{PerSecond: 1, P50: 51, P99: 100, Most: 100}, phaseOf(look(samples, start, start.Add(100*time.Second))))
	assert.Equal(t, phase{PerSecond: 1, P50: 12, P99: 12, Most: 12}, phaseOf(look(samples, start.Add(10*time.Second), start.Add(12*time.Second))))
	assert.Equal(t, phase{}, phaseOf(look(samples, start.Add(-time.Second), start)))
	first, second := look(samples, start, start.Add(50*time.Second)), look(samples, start.Add(50*time.Second), start.Add(100*time.Second))
	assert.Equal(t, look(samples, start, start.Add(100*time.Second)), second.merge(first))
}

func TestReadAnswer(t *testing.T) {
	for _, test := range []struct{ answer, body, err string }{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nokHTTP", "ok", ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", ""},
		{"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno", "", "503"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", "no length"},
		{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "", "invalid syntax"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "", "EOF"},
		{"HTTP/1.1 200 OK\r\n", "", "EOF"},
		{"", "", "EOF"},
	} {
		body, err := readAnswer(bufio.NewReader(strings.NewReader(test.answer)))
		if test.err != "" {
			assert.ErrorContains(t, err, test.err, test.answer)
			continue
		}
		assert.NoError(t, err, test.answer)
		assert.Equal(t, test.body, string(body), test.answer)
	}
}
