package main

import (
	"context"
	"errors"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// keys checks what there is to sign with.
func (s *serverSettings) keys(l *settings.Loaded) {
	if s.Format == string(authserver.FormatJWT) && s.SealingKeyFile == "" && s.SigningKeyFile == "" && !s.InsecureUnsealed {
		l.Wrong("access_token_format", "needs a key to sign with (hint: sealing_key_file, for keys in the database)")
	}
	if s.OtherKeysFile != "" && s.SigningKeyFile == "" {
		l.Wrong("other_keys_file", "has no effect without a signing key (hint: signing_key_file; sneck keys add, for keys in the database)")
	}
	if s.SigningKeyFile == "" {
		return
	}
	if _, err := authserver.NewFileKeys(authserver.FileKeysConfig{Signing: s.SigningKeyFile, Others: s.OtherKeysFile}); err != nil && !s.gone(err) {
		l.Wrong("signing_key_file", "%s", withoutPrefix(err))
	}
}

// source returns the keys for a store: those of the files, or those in the
// store, or none if there are none and nobody has asked for any.
func (s *keySettings) source(ctx context.Context, config authserver.KeyRingConfig) (authserver.KeySource, error) {
	if s.SigningKeyFile != "" {
		return authserver.NewFileKeys(authserver.FileKeysConfig{Signing: s.SigningKeyFile, Others: s.OtherKeysFile, Logger: config.Logger})
	}
	config.InsecureUnsealed, config.Algorithm, config.RotateEvery = s.InsecureUnsealed, s.KeyAlgorithm, s.RotateKeys
	if s.RotateKeys == 0 {
		config.RotateEvery = authserver.Never
	}
	if config.Sealer == nil && !s.InsecureUnsealed {
		return nil, noKeys(ctx, config)
	}
	ring, err := authserver.NewKeyRing(config)
	if err != nil {
		return nil, usageError(err, "sneck serve --help")
	}
	// A key that can not be opened is found out now, and the first one made.
	if _, err := ring.KeySet(ctx); err != nil {
		return nil, hinted(err, "is --sealing-key the right one?")
	}
	return ring, nil
}

// noKeys returns an error if there are keys in the store, though there is
// nothing to open them with.
func noKeys(ctx context.Context, config authserver.KeyRingConfig) error {
	config.InsecureUnsealed = true
	ring, err := authserver.NewKeyRing(config)
	if err != nil {
		return usageError(err, "sneck serve --help")
	}
	if keys, err := ring.List(ctx); err != nil || len(keys) > 0 {
		return usageError(errors.New("--sealing-key is missing, and there are signing keys in the database"), "the file that they were made with")
	}
	return nil
}

// keyFile returns the keys in the file of a setting, nil if there is none; what
// is wrong with it is added to l.
func (s *serverSettings) keyFile(l *settings.Loaded, key, path string) [][]byte {
	if path == "" {
		return nil
	}
	keys, err := readKeys(path)
	if err != nil && !s.gone(err) {
		l.Wrong(key, "%v", hinted(err, "made by: openssl rand -base64 32"))
	}
	return keys
}
