package authserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies says which proxies stand in front of the server, so that it knows
// the address of who sent a request. The zero value trusts none.
type Proxies struct {
	// Trusted are the addresses of the proxies. Of the addresses that a
	// request has passed, as these report them, the last one that is not
	// theirs is its sender. What else is in the header anybody could have
	// written. If it is not empty, peers without an IP address, on a Unix
	// socket, are trusted too.
	Trusted []netip.Prefix
	// Header is where the proxies report addresses: "X-Forwarded-For", which
	// empty stands for, or "Forwarded" (RFC 7239). The other one is not
	// looked at: the proxies may let pass what a client wrote there.
	Header string
}

const (
	headerXForwardedFor = "X-Forwarded-For"
	headerForwarded     = "Forwarded"
)

func (p *Proxies) prepare() error {
	var errs []error
	if p.Header == "" {
		p.Header = headerXForwardedFor
	}
	if p.Header != headerXForwardedFor && p.Header != headerForwarded {
		errs = append(errs, fmt.Errorf("authserver: Proxies.Header %q is not known (hint: %s or %s)", p.Header, headerXForwardedFor, headerForwarded))
	}
	p.Trusted = slices.Clone(p.Trusted)
	for _, prefix := range p.Trusted {
		switch {
		case !prefix.IsValid():
			errs = append(errs, errors.New("authserver: Proxies.Trusted has an invalid prefix"))
		case prefix.Bits() == 0:
			errs = append(errs, fmt.Errorf("authserver: Proxies.Trusted has %v: then everybody may claim any address (hint: name the proxies)", prefix))
		}
	}
	return errors.Join(errs...)
}

// Address returns the address of who sent the request: that of the peer, or if
// that is a trusted proxy what it reports. It is invalid if there is none.
func (p Proxies) Address(r *http.Request) netip.Addr {
	address, ok := parseAddress(r.RemoteAddr)
	if len(p.Trusted) == 0 || ok && !p.trusts(address) {
		return address
	}
	lines := r.Header.Values(p.Header)
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; rest != ""; {
			var element string
			if p.Header == headerForwarded {
				rest, element = cutLast(rest, ',')
				element = forwardedFor(element)
			} else if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, element = rest[:comma], rest[comma+1:]
			} else {
				rest, element = "", rest
			}
			before, ok := parseAddress(strings.Trim(element, " \t"))
			if !ok {
				return address // what comes before nobody vouches for
			}
			address = before
			if !p.trusts(address) {
				return address
			}
		}
	}
	return address
}

func (p Proxies) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(p.Trusted, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}

// parseAddress reads an IP address with or without a port.
func parseAddress(s string) (netip.Addr, bool) {
	if len(s) > 64 {
		return netip.Addr{}, false
	}
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return plain(withPort.Addr()), true
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	address, err := netip.ParseAddr(s)
	return plain(address), err == nil
}

// plain returns the one form of an address.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// forwardedFor returns the "for" parameter of one element (RFC 7239, section
// 4). What is obscured or unknown is no address, and neither is what can be
// read in two ways.
func forwardedFor(element string) string {
	var found string
	for element != "" {
		var pair string
		element, pair = cutLast(element, ';')
		name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if found != "" {
			return ""
		}
		found = strings.Trim(value, `"`)
	}
	return found
}

// cutLast cuts s at the last separator that is not in a quoted string: proxies
// quote what a client sent, such as the host, and a client may have sent what
// looks like a parameter. It begins at the end, which a proxy wrote, and takes
// no notice of quotes that a client left open before that.
func cutLast(s string, separator byte) (before, last string) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch before := s[:i]; {
		case s[i] == '"' && (len(before)-len(strings.TrimRight(before, `\`)))%2 == 0:
			quoted = !quoted
		case s[i] == separator && !quoted:
			return before, s[i+1:]
		}
	}
	return "", s
}

// Network returns what limits count as one sender: an IPv4 address, or the first
// 64 bits of an IPv6 address, as a single user has all of the rest. It is zero
// for an invalid address.
func Network(address netip.Addr) netip.Prefix {
	if !address.IsValid() {
		return netip.Prefix{}
	}
	address = plain(address)
	bits := 32
	if address.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(address, bits).Masked()
}
