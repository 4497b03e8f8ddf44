package jwt

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sneckauth/sneck/internal/jws"
)

// maxHeaders bounds the headers that are kept. An issuer writes one or two
// for each of its keys.
const maxHeaders = 256

// headers remembers parsed headers by their segment. Only those of tokens
// that were verified are kept, so that it is the issuers, and not whoever
// sends requests, that fill it. Keeping a header keeps nothing of a decision:
// all that is decided by it is decided for every token anew.
type headers struct {
	known atomic.Pointer[map[string]*jws.Header] // copied on write
	mu    sync.Mutex
}

// read returns the header of a segment, and whether it was known.
func (h *headers) read(segment string) (*jws.Header, bool, error) {
	if known := h.known.Load(); known != nil {
		if header := (*known)[segment]; header != nil {
			return header, true, nil
		}
	}
	data, err := jws.Decode(segment)
	if err != nil {
		return nil, false, jws.ErrNotHeader
	}
	header, err := jws.ParseHeader(data)
	return header, false, err
}

func (h *headers) keep(segment string, header *jws.Header) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := make(map[string]*jws.Header)
	if known := h.known.Load(); known != nil && len(*known) < maxHeaders {
		maps.Copy(next, *known)
	}
	// A part of the token must not keep all of it alive.
	next[strings.Clone(segment)] = header
	h.known.Store(&next)
}
