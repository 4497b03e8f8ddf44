package authserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/appendjson"
)

// A TokenFormat says what access tokens look like. Whatever it is, the record
// of a token is in the store, and it can be introspected and revoked.
type TokenFormat string

const (
	// FormatOpaque is a random token that says nothing to who has it. Only
	// the server knows what it means, so that what is revoked is revoked.
	FormatOpaque TokenFormat = "opaque"
	// FormatJWT is a signed token that says by itself what it means (RFC
	// 9068), to who verifies it as well as to its client. A resource server
	// that does not ask learns nothing of a revocation.
	FormatJWT TokenFormat = "jwt"
)

func (f TokenFormat) known() bool { return f == "" || f == FormatOpaque || f == FormatJWT }

// format returns the format of the client's access tokens.
func (s *Server) format(c *Client) TokenFormat {
	switch {
	case c.AccessTokenFormat != "":
		return c.AccessTokenFormat
	case s.config.AccessTokenFormat != "":
		return s.config.AccessTokenFormat
	}
	return FormatOpaque
}

// signing returns the keys to sign the client's access tokens with, or nil if
// they are opaque.
func (s *Server) signing(ctx context.Context, c *Client) (*KeySet, error) {
	if s.format(c) != FormatJWT {
		return nil, nil
	}
	if s.config.Keys == nil {
		return nil, unavailable(errors.New("the client is to have JWTs, and there are no keys (hint: Config.Keys)"))
	}
	keys, err := s.config.Keys.KeySet(ctx)
	if err != nil {
		return nil, unavailable(fmt.Errorf("get the signing keys: %w", err))
	}
	return keys, nil
}

// accessToken makes up an access token and completes its record: the key, and
// what a JWT says besides. The record's Extra is extra, with the "jti" of a
// JWT.
func (s *Server) accessToken(ctx context.Context, keys *KeySet, request *TokenRequest, r *Record, extra json.RawMessage) (string, error) {
	var token string
	var err error
	r.Extra = extra
	if keys == nil {
		token, err = s.generate(ctx, s.config.AccessToken, request)
	} else {
		token, err = s.newJWT(keys, r)
	}
	r.Key, r.Random = KeyOf(token), keys != nil || s.config.ownTokens
	return token, err
}

func (s *Server) newJWT(keys *KeySet, r *Record) (string, error) {
	if len(r.Audience) == 0 {
		return "", unavailable(errors.New("a JWT needs an audience (hint: Issue.Audience)"))
	}
	// A JWT without anything random in it would be that of the second before.
	r.Extra = joinObjects([]byte(`{"jti":"`+string(appendRandom(nil, familyLen))+`"}`), r.Extra)
	token, err := keys.sign(joinObjects(s.jwtClaims(r), r.Extra))
	if err != nil {
		return "", unavailable(fmt.Errorf("sign a token: %w", err))
	}
	if !sneck.ValidToken(token) {
		return "", unavailable(errors.New("the token is too long (hint: fewer claims)"))
	}
	return token, nil
}

// jwtClaims returns what a JWT says about itself (RFC 9068, section 2.2). The
// rest of it is the Extra of its record, "jti" included.
func (s *Server) jwtClaims(r *Record) []byte {
	claims := make([]byte, 0, 512)
	claims = appendjson.String(append(claims, `{"iss":`...), s.config.Issuer)
	claims = appendjson.String(append(claims, `,"sub":`...), r.Subject)
	if len(r.Audience) == 1 {
		claims = appendjson.Member(claims, "aud", r.Audience[0])
	} else {
		claims = appendjson.Members(claims, "aud", r.Audience)
	}
	claims = appendjson.String(append(claims, `,"client_id":`...), r.Client)
	claims = strconv.AppendInt(append(claims, `,"exp":`...), unix(r.Expires), 10)
	claims = strconv.AppendInt(append(claims, `,"iat":`...), unix(r.Issued), 10)
	claims = appendjson.Member(claims, "scope", r.Scopes.String())
	return append(claims, '}')
}

// joinObjects returns one JSON object of two that have no member in common.
// The first is not empty; the second may be nil.
func joinObjects(object []byte, more json.RawMessage) json.RawMessage {
	if more = bytes.TrimSpace(more); len(more) <= len("{}") {
		return object
	}
	return append(append(object[:len(object)-1:len(object)-1], ','), more[1:]...)
}

// recognize reports whether a token may be an access token of this server, so
// that the store is worth asking.
func (s *Server) recognize(ctx context.Context, token string) (bool, error) {
	if !sneck.ValidToken(token) {
		return false, nil
	}
	if s.config.RecognizeToken(token) {
		return true, nil
	}
	if s.config.Keys == nil {
		return false, nil
	}
	keys, err := s.config.Keys.KeySet(ctx)
	if err != nil {
		return false, fmt.Errorf("get the signing keys: %w", err)
	}
	return keys.signed(token), nil
}
