package cache

import (
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
)

// panicked returns what somebody's code panicked with, without what might hold
// a token.
func panicked(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a value of type %T", v)
}

var errWithheld = errors.New("cache: the verifier's error quoted the token and is withheld")

// withheld returns what may be logged of a verifier's error: no token, neither
// as it is nor as it stands in a URL, such as that of a [url.Error]. Shorter
// tokens than any real one are not looked for: they are in any text.
func withheld(err error, token string) error {
	const shortest = 16
	text := err.Error()
	if len(token) < shortest {
		return err
	}
	for _, quoted := range []string{token, url.QueryEscape(token), url.PathEscape(token)} {
		if strings.Contains(text, quoted) {
			return errWithheld
		}
	}
	return err
}
