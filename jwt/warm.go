package jwt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sneckauth/sneck/internal/strictjson"
)

// A kept is a key set in a file of [Fetch.Dir].
type kept struct {
	Source  string    `json:"source"`
	Fetched time.Time `json:"fetched"`
	// Set is the answer as it was, so that what reads it is what reads
	// answers.
	Set string `json:"jwks"`
}

// path returns the file of this source. Its name is a digest, as the name of
// a source is anything.
func (r *Remote) path() string {
	sum := sha256.Sum256([]byte(r.name))
	return filepath.Join(r.fetch.Dir, hex.EncodeToString(sum[:])+".json")
}

// load takes up the kept set, if there is one that is not too old. It is
// called before the Remote is used.
func (r *Remote) load() {
	if r.fetch.Dir == "" {
		return
	}
	data, err := os.ReadFile(r.path())
	if err != nil {
		return // the first start; or it is fetched as if it were
	}
	var k kept
	if err := strictjson.Unmarshal(data, &k); err != nil || k.Source != r.name {
		r.log.Warn("kept key set not used", slog.String("source", r.name), slog.String("reason", "not a key set of this source"))
		return
	}
	now := r.now()
	if k.Fetched.After(now) || !now.Before(k.Fetched.Add(r.fetch.MaxStale)) {
		r.log.Info("kept key set not used", slog.String("source", r.name), slog.Time("fetched", k.Fetched))
		return
	}
	set, err := parseSet([]byte(k.Set), r.fetch.RSAAlgorithm)
	if err != nil {
		r.log.Warn("kept key set not used", slog.String("source", r.name), slog.Any("error", err))
		return
	}
	r.current.Store(r.snapshot(set, k.Fetched, -1))
}

// save keeps a set that was fetched. A failure costs a warm start, no more.
func (r *Remote) save(fetched time.Time, set []byte) {
	if r.fetch.Dir == "" {
		return
	}
	data, err := json.Marshal(kept{r.name, fetched, string(set)})
	if err == nil {
		err = replaceFile(r.path(), data)
	}
	if err != nil {
		r.log.Warn("key set not kept", slog.String("source", r.name), slog.Any("error", err))
	}
}

// replaceFile writes a file such that readers see all of the old or all of
// the new content.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
