package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/sneckauth/sneck/authserver"
)

// A generator is the name of a way to make up tokens or identifiers: what the
// server does by itself, or a number of random characters.
type generator string

// checksummed has 256 random bits, a prefix and a checksum.
const checksummed generator = "checksummed"

const (
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base16 = "0123456789abcdef"
)

var (
	alphabets     = map[string]string{"base62": base62, "hex": base16}
	generatorForm = regexp.MustCompile(`^(base62|hex)-([1-9][0-9]{0,3})$`)
)

// minRandom are how many characters have 128 random bits.
var minRandom = map[string]int{"base62": 22, "hex": 32}

const maxRandom = 255

// UnmarshalText checks a name. What others could guess is refused.
func (g *generator) UnmarshalText(text []byte) error {
	*g = generator(text)
	if *g == checksummed {
		return nil
	}
	alphabet, n := g.parts()
	switch {
	case alphabet == "":
		return fmt.Errorf("is no generator (hint: such as base62-43 or hex-64)")
	case n < minRandom[alphabet] || n > maxRandom:
		return fmt.Errorf("has not %d to %d characters (hint: %s-%d has 256 random bits)", minRandom[alphabet], maxRandom, alphabet, 2*minRandom[alphabet])
	}
	return nil
}

// parts returns the name of the alphabet, and the number of characters.
func (g generator) parts() (alphabet string, n int) {
	parts := generatorForm.FindStringSubmatch(string(g))
	if parts == nil {
		return "", 0
	}
	n, _ = strconv.Atoi(parts[2]) // four digits
	return parts[1], n
}

// text returns what makes up a text, nil for what the server does by itself.
func (g generator) text() func() string {
	name, n := g.parts()
	if name == "" {
		return nil
	}
	return func() string { return randomText(alphabets[name], n) }
}

// token returns the generator of tokens, nil for that of the server, and what
// recognizes them.
func (g generator) token() (generate authserver.TokenGenerator, recognize func(string) bool) {
	text := g.text()
	if text == nil {
		return nil, nil
	}
	name, n := g.parts()
	return func(context.Context, *authserver.TokenRequest) (string, error) { return text(), nil },
		func(token string) bool { return len(token) == n && strings.Trim(token, alphabets[name]) == "" }
}

// randomText returns n characters of an alphabet, each as likely as the others.
func randomText(alphabet string, n int) string {
	text := make([]byte, 0, n)
	var pool [64]byte
	fair := 256 - 256%len(alphabet)
	for {
		_, _ = rand.Read(pool[:]) // never fails
		for _, b := range pool {
			if len(text) == n {
				return string(text)
			}
			if int(b) < fair {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
}
