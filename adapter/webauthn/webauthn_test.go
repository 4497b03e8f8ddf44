package webauthn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/webauthn"
	"github.com/sneckauth/sneck/authserver/pages"
)

const issuer = "https://auth.example.com:8443/x"

var alice = pages.Account{ID: "u_alice", Username: "alice"}

// An authenticator is a passkey in software, and what may be wrong with it.
type authenticator struct {
	key    *ecdsa.PrivateKey
	id     []byte
	count  uint32
	origin string
	flags  byte
	handle string
}

const (
	present  = 1
	verified = 4
	attested = 64
)

func newAuthenticator(t *testing.T) *authenticator {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	id := make([]byte, 32)
	rand.Read(id)
	return &authenticator{key: key, id: id, origin: "https://auth.example.com:8443", flags: present | verified, handle: alice.ID}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *authenticator) clientData(t *testing.T, kind string, options json.RawMessage) []byte {
	var o struct {
		Challenge string `json:"challenge"`
	}
	require.NoError(t, json.Unmarshal(options, &o))
	data, err := json.Marshal(map[string]any{"type": kind, "challenge": o.Challenge, "origin": a.origin, "crossOrigin": false})
	require.NoError(t, err)
	return data
}

func (a *authenticator) data(more byte, rest ...byte) []byte {
	host := sha256.Sum256([]byte("auth.example.com"))
	data := append(host[:], a.flags|more)
	a.count++
	return append(binary.BigEndian.AppendUint32(data, a.count), rest...)
}

// create answers the options for a new passkey.
func (a *authenticator) create(t *testing.T, options json.RawMessage) []byte {
	public, err := a.key.PublicKey.Bytes() // 4, x, y
	require.NoError(t, err)
	credential := make([]byte, 16)
	credential = binary.BigEndian.AppendUint16(credential, uint16(len(a.id)))
	credential = append(credential, a.id...)
	// A COSE key: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
	credential = append(credential, 0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20)
	credential = append(credential, public[1:33]...)
	credential = append(append(credential, 0x22, 0x58, 0x20), public[33:]...)
	data := a.data(attested, credential...)
	// {"fmt": "none", "attStmt": {}, "authData": data}.
	object := append([]byte{0xa3, 0x63}, "fmt"...)
	object = append(append(object, 0x64), "none"...)
	object = append(append(object, 0x67), "attStmt"...)
	object = append(append(object, 0xa0, 0x68), "authData"...)
	object = append(binary.BigEndian.AppendUint16(append(object, 0x59), uint16(len(data))), data...)
	return a.answer(t, map[string]any{
		"clientDataJSON": b64(a.clientData(t, "webauthn.create", options)), "attestationObject": b64(object),
	})
}

// get answers the options for signing in.
func (a *authenticator) get(t *testing.T, options json.RawMessage) []byte {
	client, data := a.clientData(t, "webauthn.get", options), a.data(0)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	require.NoError(t, err)
	return a.answer(t, map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64([]byte(a.handle)),
	})
}

func (a *authenticator) answer(t *testing.T, response map[string]any) []byte {
	data, err := json.Marshal(map[string]any{
		"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{},
	})
	require.NoError(t, err)
	return data
}

func create(t *testing.T, p *webauthn.Passkeys, a *authenticator) (pages.Passkey, error) {
	options, state, err := p.BeginCreate(alice, [][]byte{{1, 2, 3}})
	require.NoError(t, err)
	return p.FinishCreate(alice, state, a.create(t, options))
}

func TestPasskeys(t *testing.T) {
	p, err := webauthn.New(webauthn.Config{Issuer: issuer})
	require.NoError(t, err)
	options, _, err := p.BeginCreate(alice, [][]byte{{1, 2, 3}})
	require.NoError(t, err)
	var o map[string]any
	require.NoError(t, json.Unmarshal(options, &o))
	assert.Equal(t, map[string]any{"id": "auth.example.com", "name": "auth.example.com"}, o["rp"])
	assert.Equal(t, map[string]any{"id": b64([]byte(alice.ID)), "name": "alice", "displayName": "alice"}, o["user"])
	assert.Equal(t, map[string]any{"requireResidentKey": true, "residentKey": "required", "userVerification": "required"}, o["authenticatorSelection"])
	assert.Equal(t, []any{map[string]any{"type": "public-key", "id": "AQID"}}, o["excludeCredentials"])

	a := newAuthenticator(t)
	passkey, err := create(t, p, a)
	require.NoError(t, err)
	assert.Equal(t, a.id, passkey.ID)
	find := func(id []byte) (pages.Account, pages.Passkey, error) {
		if string(id) != string(a.id) {
			return pages.Account{}, pages.Passkey{}, pages.ErrWrongPasskey
		}
		return alice, passkey, nil
	}
	for range 3 {
		options, state, err := p.BeginSignIn()
		require.NoError(t, err)
		assert.Contains(t, string(options), `"userVerification":"required"`)
		got, err := p.FinishSignIn(state, a.get(t, options), find)
		require.NoError(t, err)
		assert.Equal(t, alice, got)
	}

	// What is wrong with an answer.
	for name, spoil := range map[string]func(*authenticator){
		"another key":      func(a *authenticator) { a.key = newAuthenticator(t).key },
		"another site":     func(a *authenticator) { a.origin = "https://auth.example.com.evil.example.com" },
		"another port":     func(a *authenticator) { a.origin = "https://auth.example.com" },
		"without TLS":      func(a *authenticator) { a.origin = "http://auth.example.com:8443" },
		"nobody verified":  func(a *authenticator) { a.flags = present },
		"nobody there":     func(a *authenticator) { a.flags = 0 },
		"of somebody else": func(a *authenticator) { a.handle = "u_mallory" },
		"of nobody":        func(a *authenticator) { a.handle = "" },
		"unknown":          func(a *authenticator) { a.id = []byte("another") },
	} {
		bad := *a
		spoil(&bad)
		options, state, err := p.BeginSignIn()
		require.NoError(t, err)
		_, err = p.FinishSignIn(state, bad.get(t, options), find)
		require.ErrorIs(t, err, pages.ErrWrongPasskey, name)
		if name == "another site" || name == "nobody verified" || name == "without TLS" {
			_, err = create(t, p, &bad)
			require.ErrorIs(t, err, pages.ErrWrongPasskey, name)
		}
	}

	// An answer to another challenge, and garbage.
	old, _, err := p.BeginSignIn()
	require.NoError(t, err)
	_, state, err := p.BeginSignIn()
	require.NoError(t, err)
	_, err = p.FinishSignIn(state, a.get(t, old), find)
	require.ErrorIs(t, err, pages.ErrWrongPasskey)
	for _, garbage := range []string{"", "{}", "null", `{"id":"AQID","rawId":"AQID","type":"public-key","response":{}}`} {
		_, err = p.FinishSignIn(state, []byte(garbage), find)
		require.ErrorIs(t, err, pages.ErrWrongPasskey, garbage)
		_, err = p.FinishCreate(alice, state, []byte(garbage))
		require.ErrorIs(t, err, pages.ErrWrongPasskey, garbage)
	}
	_, err = p.FinishSignIn(json.RawMessage("x"), nil, find)
	require.ErrorContains(t, err, "the state is damaged")

	// An outage is not a refusal.
	down := errors.New("the store is down")
	options, state, err = p.BeginSignIn()
	require.NoError(t, err)
	_, err = p.FinishSignIn(state, a.get(t, options), func([]byte) (pages.Account, pages.Passkey, error) {
		return pages.Account{}, pages.Passkey{}, down
	})
	require.ErrorIs(t, err, down)
}

func TestConfigMistakes(t *testing.T) {
	for config, want := range map[webauthn.Config]string{
		{}:                                  "is not a URL",
		{Issuer: "ftp://auth.example.com"}:  "is not a URL",
		{Issuer: "http://127.0.0.1:8080"}:   "has an IP address",
		{Issuer: "https://[2001:db8::1]/x"}: "has an IP address",
	} {
		_, err := webauthn.New(config)
		require.ErrorContains(t, err, want)
	}
	_, err := webauthn.New(webauthn.Config{Issuer: "http://localhost:8080", Name: "Example"})
	require.NoError(t, err)
}

// Answers come from browsers, so anybody can send anything.
func FuzzAnswer(f *testing.F) {
	p, err := webauthn.New(webauthn.Config{Issuer: issuer})
	require.NoError(f, err)
	_, state, err := p.BeginSignIn()
	require.NoError(f, err)
	f.Add([]byte(`{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"","signature":"","userHandle":""}}`))
	f.Add([]byte(`{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"o2NmbXRkbm9uZQ"}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		_, err := p.FinishSignIn(state, answer, func([]byte) (pages.Account, pages.Passkey, error) { return alice, pages.Passkey{}, nil })
		require.Error(t, err)
		_, err = p.FinishCreate(alice, state, answer)
		require.ErrorIs(t, err, pages.ErrWrongPasskey)
	})
}
