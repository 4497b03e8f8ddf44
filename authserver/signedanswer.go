package authserver

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/sneckauth/sneck/internal/appendjson"
)

// A resource server that names the type as acceptable gets its answer in a JWT
// (RFC 9701, section 4), which proves to others what the server has said.
const (
	typeSignedAnswer = "token-introspection+jwt"
	signedAnswerType = "application/" + typeSignedAnswer
)

// answerIntrospection answers a resource server with a JSON object, in the form
// that it asks for. A server without keys can only answer in plain JSON, which
// who wants proof does not take.
func (s *Server) answerIntrospection(w http.ResponseWriter, r *http.Request, caller *Client, object []byte) error {
	if s.config.Keys == nil || !wantsSigned(r.Header.Values("Accept")) {
		answerJSON(w, http.StatusOK, object)
		return nil
	}
	signed, err := s.signAnswer(r.Context(), caller, object)
	if err != nil {
		return unavailable(fmt.Errorf("sign an answer: %w", err))
	}
	noStore(w)
	w.Header().Set("Content-Type", signedAnswerType)
	_, _ = w.Write([]byte(signed))
	return nil
}

// signAnswer returns the JWT for an answer. It has neither "sub" nor "exp", so
// that it can not pass for a token (RFC 9701, section 5).
func (s *Server) signAnswer(ctx context.Context, caller *Client, object []byte) (string, error) {
	keys, err := s.config.Keys.KeySet(ctx)
	if err != nil {
		return "", fmt.Errorf("get the signing keys: %w", err)
	}
	claims := make([]byte, 0, 256+len(object))
	claims = appendjson.String(append(claims, `{"iss":`...), s.config.Issuer)
	claims = appendjson.String(append(claims, `,"aud":`...), caller.ID)
	claims = strconv.AppendInt(append(claims, `,"iat":`...), unix(s.config.Now()), 10)
	claims = append(append(claims, `,"token_introspection":`...), object...)
	return keys.answers.Sign(append(claims, '}'))
}

// wantsSigned reports whether the Accept fields name the type of signed answers.
// Wildcards do not: they come from clients that have never heard of it.
func wantsSigned(accept []string) bool {
	for _, field := range accept {
		for part := range strings.SplitSeq(field, ",") {
			if len(part) < len(signedAnswerType) {
				continue // most say application/json, and need not be taken apart
			}
			name, params, err := mime.ParseMediaType(part)
			if err != nil || name != signedAnswerType {
				continue
			}
			if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
				return true
			}
		}
	}
	return false
}

// inactive is the answer for everything but a live token. It gives no reason.
var inactive = json.RawMessage(`{"active":false}`)
