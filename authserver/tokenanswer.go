package authserver

import (
	"strconv"

	"github.com/sneckauth/sneck/internal/appendjson"
)

// A tokenAnswer is a successful answer (RFC 6749, section 5.1). The scope is
// always reported, so that a client never has to guess what it was granted.
type tokenAnswer struct {
	AccessToken  string
	TokenType    string
	ExpiresIn    int64
	RefreshToken string
	Scope        string

	id string // the "jti"
}

// json returns what is sent.
func (a *tokenAnswer) json() []byte {
	data := make([]byte, 0, len(a.AccessToken)+len(a.RefreshToken)+len(a.Scope)+128)
	data = appendjson.String(append(data, `{"access_token":`...), a.AccessToken)
	data = appendjson.String(append(data, `,"token_type":`...), a.TokenType)
	data = strconv.AppendInt(append(data, `,"expires_in":`...), a.ExpiresIn, 10)
	data = appendjson.Member(data, "refresh_token", a.RefreshToken)
	data = appendjson.String(append(data, `,"scope":`...), a.Scope)
	return append(data, '}')
}
