package authserver

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sneckauth/sneck/internal/jws"
)

// ParseSigningKey reads a private key: a JWK (RFC 7517), whose "kid" and "alg"
// count, or a PEM block with a PKCS #8, SEC 1 or PKCS #1 key that is not
// encrypted.
func ParseSigningKey(data []byte) (SigningKey, error) {
	key, err := parseSigningKey(data)
	if err != nil {
		return SigningKey{}, err
	}
	public, err := key.Public().complete()
	if err != nil {
		return SigningKey{}, err
	}
	key.ID, key.Algorithm = public.ID, public.Algorithm
	return key, nil
}

// parseSigningKey returns no error of another package, as it may quote the key.
func parseSigningKey(data []byte) (SigningKey, error) {
	if block, _ := pem.Decode(data); block != nil {
		key, err := parsePrivateBlock(block)
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok {
			return SigningKey{}, errors.New("authserver: the PEM block is no private key to sign with (hint: openssl pkcs8 -topk8 -nocrypt)")
		}
		return SigningKey{Signer: signer}, nil
	}
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON(data) != nil {
		return SigningKey{}, errors.New("authserver: there is neither a PEM block nor a JWK")
	}
	signer, ok := jwk.Key.(crypto.Signer)
	if !ok || jwk.Use != "" && jwk.Use != "sig" {
		return SigningKey{}, errors.New("authserver: the JWK is no private key to sign with")
	}
	return SigningKey{Signer: signer, ID: jwk.KeyID, Algorithm: jwk.Algorithm}, nil
}

func parsePrivateBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}

// parsePublicKeys reads a JWK Set with public keys, or PEM blocks with public
// keys or certificates.
func parsePublicKeys(data []byte) ([]PublicKey, error) {
	var keys []PublicKey
	if block, rest := pem.Decode(data); block != nil {
		for ; block != nil; block, rest = pem.Decode(rest) {
			key, err := parsePublicBlock(block)
			if err != nil {
				return nil, fmt.Errorf("authserver: a PEM block of type %q is no public key (hint: openssl pkey -pubout)", block.Type)
			}
			keys = append(keys, PublicKey{Key: key})
		}
		return keys, nil
	}
	found, skipped, err := jws.ParseSet(data, jws.RS256)
	if err == nil {
		err = errors.Join(skipped...)
	}
	if err != nil {
		return nil, fmt.Errorf("authserver: not a JWK Set of public keys: %w", err)
	}
	for _, k := range found {
		keys = append(keys, PublicKey{Key: k.Public, ID: k.ID, Algorithm: k.Algorithm})
	}
	return keys, nil
}

func parsePublicBlock(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	}
	return nil, errors.New("unknown type")
}

// A FileKeys is the [KeySource] of keys in files. It reads them again when they
// have changed; while they can not be read, the last ones stay. So keys are
// changed by writing files: first the new public key to Others, after some
// time the new private key to Signing, and the old public key to Others, until
// the last token that it signed has expired.
//
// Make one with [NewFileKeys]. It is safe for concurrent use.
type FileKeys struct {
	config FileKeysConfig

	mu      sync.Mutex
	checked time.Time
	read    [2 * sha256.Size]byte
	set     *KeySet
}

var _ KeySource = (*FileKeys)(nil)

// A FileKeysConfig configures a [FileKeys]. Signing is mandatory.
type FileKeysConfig struct {
	// Signing is the file of the private key; see [ParseSigningKey].
	Signing string
	// Others, if not empty, is a file with further keys to publish: a JWK Set,
	// or PEM blocks with public keys or certificates.
	Others string
	// MaxAge and MaxTTL are as in [KeySetConfig].
	MaxAge, MaxTTL time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Logger is told if files can not be read again; nil is silent.
	Logger *slog.Logger
}

// fileInterval is how often files are looked at.
const fileInterval = 10 * time.Second

// NewFileKeys returns a FileKeys, or what is wrong with the files.
func NewFileKeys(config FileKeysConfig) (*FileKeys, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	k := &FileKeys{config: config}
	return k, k.readAgain()
}

// KeySet implements [KeySource].
func (k *FileKeys) KeySet(ctx context.Context) (*KeySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.config.Now(); now.Sub(k.checked) >= fileInterval || now.Before(k.checked) {
		if err := k.readAgain(); err != nil {
			k.config.Logger.LogAttrs(ctx, slog.LevelError, "signing keys not read again", cause(err))
		}
	}
	return k.set, nil
}

func (k *FileKeys) readAgain() error {
	k.checked = k.config.Now()
	signing, err := readKeyFile(k.config.Signing)
	if err != nil {
		return err
	}
	var others []byte
	if k.config.Others != "" {
		if others, err = readKeyFile(k.config.Others); err != nil {
			return err
		}
	}
	a, b := sha256.Sum256(signing), sha256.Sum256(others)
	digest := [2 * sha256.Size]byte(append(a[:], b[:]...))
	if k.set != nil && k.read == digest {
		return nil
	}
	set, err := k.parse(signing, others)
	if err != nil {
		return err
	}
	k.set, k.read = set, digest
	return nil
}

func (k *FileKeys) parse(signing, others []byte) (*KeySet, error) {
	key, err := ParseSigningKey(signing)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.config.Signing, err)
	}
	c := KeySetConfig{Signing: key, MaxAge: k.config.MaxAge, MaxTTL: k.config.MaxTTL}
	if k.config.Others != "" {
		if c.Others, err = parsePublicKeys(others); err != nil {
			return nil, fmt.Errorf("%s: %w", k.config.Others, err)
		}
	}
	return NewKeySet(c)
}

// maxKeyFile is the longest file of keys that is read.
const maxKeyFile = 256 << 10

func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = fmt.Errorf("authserver: %s is longer than %d bytes", path, maxKeyFile)
	}
	return data, err
}
