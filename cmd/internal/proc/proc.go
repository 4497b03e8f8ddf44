//go:build linux

// Package proc reads from /proc what processes have used.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat, which is the same on every Linux that Go
// runs on.
const tick = 10 * time.Millisecond

// A stat is what is used of /proc/PID/stat.
type stat struct {
	parent         int
	cpu, childrens time.Duration
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(data)
}

// parseStat reads the fields behind the name, which may have anything in it.
func parseStat(data []byte) (stat, error) {
	_, rest, found := bytes.Cut(data[max(bytes.LastIndexByte(data, ')'), 0):], []byte(") "))
	fields := strings.Fields(string(rest))
	const parent, utime, stime, cutime, cstime = 1, 11, 12, 13, 14 // the state is the first
	if !found || len(fields) <= cstime {
		return stat{}, errors.New("proc: the format is not known")
	}
	var n [cstime + 1]int64
	for _, i := range []int{parent, utime, stime, cutime, cstime} {
		var err error
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return stat{}, fmt.Errorf("proc: %w", err)
		}
	}
	return stat{
		parent:    int(n[parent]),
		cpu:       time.Duration(n[utime]+n[stime]) * tick,
		childrens: time.Duration(n[cutime]+n[cstime]) * tick,
	}, nil
}

// CPU returns the time on processors of a process, of its children, and of
// those that have ended.
func CPU(pid int) (time.Duration, error) {
	s, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	total := s.cpu + s.childrens
	for _, child := range children(pid) {
		if s, err := readStat(child); err == nil { // else it has just ended
			total += s.cpu + s.childrens
		}
	}
	return total, nil
}

// Memory returns the bytes of memory of a process and its children; what
// several share is counted once.
func Memory(pid int) (total int64, err error) {
	for _, pid := range append([]int{pid}, children(pid)...) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
				if err != nil {
					return 0, fmt.Errorf("proc: %w", err)
				}
				total += n << 10
			}
		}
	}
	if total == 0 {
		return 0, fmt.Errorf("proc: no memory of process %d is to be seen", pid)
	}
	return total, nil
}

func children(pid int) (list []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		other, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(other); err == nil && s.parent == pid {
			list = append(list, other)
		}
	}
	return list
}
