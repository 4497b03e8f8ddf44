package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/sneckauth/sneck/authserver"
)

// sealFlags say how secrets in the database are encrypted.
type sealFlags struct {
	SealingKey string `from:"SNECK_SEALING_KEY" placeholder:"FILE" help:"File with the key that encrypts private keys and secrets in the database: 32 random bytes in base64; further lines are old ones ($$SNECK_SEALING_KEY)."`
}

const sealHint = "--sealing-key FILE, made by: openssl rand -base64 32"

// sealer returns the sealer of the file, or nil if there is none.
func (f *sealFlags) sealer() (*authserver.Sealer, error) {
	sealer, err := readSealer(f.SealingKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hinted(err, "look at --sealing-key")
	}
	return sealer, err
}

// readSealer returns the sealer with the keys in a file, nil for no file.
func readSealer(path string) (*authserver.Sealer, error) {
	if path == "" {
		return nil, nil
	}
	keys, err := readKeys(path)
	if err != nil {
		return nil, hinted(err, sealHint)
	}
	sealer, err := authserver.NewSealer(keys[0], keys[1:]...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sealer, nil
}

// readKeys returns the keys in a file, one or more, a line of base64 each.
func readKeys(path string) ([][]byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for line := range strings.FieldsSeq(string(data)) {
		key, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil {
			return nil, fmt.Errorf("line %d of %s is not base64", len(keys)+1, path)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no key in %s", path)
	}
	return keys, nil
}

// maxFile is the longest file with keys that is read, in bytes.
const maxFile = 256 << 10

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return data, err
}

// readSecret returns the one line of a file.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readLine(f)
}
