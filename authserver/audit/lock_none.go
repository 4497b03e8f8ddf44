//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package audit

import "os"

// lock does nothing: there is no flock, so only one process may write.
func lock(*os.File) (unlock func(), err error) { return func() {}, nil }
