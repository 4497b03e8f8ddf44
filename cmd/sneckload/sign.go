//go:build linux

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"runtime"
	"syscall"
	"time"
)

// signFor signs on one thread for some time, as ES256 does (RFC 7518, section
// 3.4), and adds what that costs: the part of a JWT that no server can save.
func signFor(d time.Duration, sum *total) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte("what is signed makes no difference"))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	from := time.Now()
	before, err := threadCPU()
	if err != nil {
		return err
	}
	var took []time.Duration
	for start := from; start.Sub(from) < d || len(took) == 0; {
		if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			return err
		}
		end := time.Now()
		took = append(took, end.Sub(start))
		start = end
	}
	after, err := threadCPU()
	if err != nil {
		return err
	}
	sum.window = sum.merge(newWindow(took, time.Since(from)))
	sum.server += after - before
	return nil
}

// threadCPU returns what this thread has used.
func threadCPU() (time.Duration, error) {
	const rusageThread = 1
	var u syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
