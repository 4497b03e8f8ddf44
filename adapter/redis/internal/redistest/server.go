// Package redistest gives tests a real Redis.
package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Address returns the address of a server that tests share, and that they
// must neither stop nor empty: SNECK_TEST_REDIS, one at 127.0.0.1:6379, or a
// private one. Where there is none, the test is skipped, or fails if CI=true.
func Address(t testing.TB) string {
	t.Helper()
	if address := os.Getenv("SNECK_TEST_REDIS"); address != "" {
		return address
	}
	if local := "127.0.0.1:6379"; answers(local) {
		return local
	}
	return Start(t).Address
}

// answers reports whether a Redis that wants no password is at the address.
func answers(address string) bool { return reply(address) == "+PONG\r\n" }

// reply returns the beginning of what is answered to a PING.
func reply(address string) string {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return ""
	}
	var begin [7]byte
	n, _ := conn.Read(begin[:])
	return string(begin[:n])
}

// A Server is a redis-server process of the test's own, without persistence.
type Server struct {
	Address string

	t    testing.TB
	args []string

	mu  sync.Mutex
	cmd *exec.Cmd
}

// Start starts a server on a free port, with further arguments. It ends with
// the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Redis: SNECK_TEST_REDIS is not set and redis-server is not on the PATH")
		}
		t.Skip("no Redis: set SNECK_TEST_REDIS or install redis-server")
	}
	port := freePort(t)
	s := &Server{t: t, Address: "127.0.0.1:" + port}
	s.args = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, args...)
	t.Cleanup(s.Kill)
	s.Restart()
	return s
}

// Port returns the port of the Address.
func (s *Server) Port() string { return s.Address[strings.LastIndexByte(s.Address, ':')+1:] }

// Kill ends the process at once, as kill -9 does.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// Restart starts the process again, empty, and waits until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.mu.Lock()
	s.cmd = exec.Command("redis-server", s.args...)
	err := s.cmd.Start()
	if err != nil {
		s.cmd = nil
	}
	s.mu.Unlock()
	if err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	Wait(s.t, "redis-server to answer", func() bool { r := reply(s.Address); return r == "+PONG\r\n" || r == "-NOAUTH" })
}

// CLI runs redis-cli on the server and returns what it prints.
func (s *Server) CLI(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-p", s.Port()}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("redis-cli %v: %v: %s", args, err, out)
	}
	return string(out)
}

// Wait waits until the condition holds, up to 20 s.
func Wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// freePort returns a port that nobody listens at. It is none of those that
// systems give to whoever asks for any, from 32768 on: another test would get it
// before the server has it.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		if listener, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// StartCluster starts three nodes that form a Cluster, and returns them.
func StartCluster(t testing.TB) []*Server {
	t.Helper()
	var nodes []*Server
	bus := make([]string, 3)
	for i := range bus {
		bus[i] = freePort(t)
		nodes = append(nodes, Start(t, "--cluster-enabled", "yes", "--cluster-port", bus[i], "--cluster-node-timeout", "2000"))
	}
	for i, node := range nodes {
		first, last := i*16384/3, (i+1)*16384/3-1
		node.CLI("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
		node.CLI("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		node.CLI("CLUSTER", "MEET", "127.0.0.1", nodes[0].Port(), bus[0])
	}
	Wait(t, "the cluster to agree", func() bool {
		for _, node := range nodes {
			if info := node.CLI("CLUSTER", "INFO"); !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	})
	return nodes
}

// StartSentinel starts a primary named "main" with a replica and a Sentinel
// that alone decides to fail over, and returns the three.
func StartSentinel(t testing.TB) (primary, replica, sentinel *Server) {
	t.Helper()
	primary = Start(t)
	replica = Start(t, "--replicaof", "127.0.0.1 "+primary.Port())
	file := t.TempDir() + "/sentinel.conf"
	conf := fmt.Sprintf("sentinel monitor main 127.0.0.1 %s 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n", primary.Port())
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	sentinel = &Server{t: t, Address: "127.0.0.1:" + port, args: []string{file, "--sentinel", "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir()}}
	t.Cleanup(sentinel.Kill)
	sentinel.Restart()
	Wait(t, "the replica to be known", func() bool {
		return strings.Contains(sentinel.CLI("SENTINEL", "REPLICAS", "main"), replica.Port()) &&
			strings.Contains(replica.CLI("INFO", "replication"), "master_link_status:up")
	})
	return primary, replica, sentinel
}
