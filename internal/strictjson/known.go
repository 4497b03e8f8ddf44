package strictjson

import (
	"errors"

	"github.com/go-json-experiment/json"
)

// UnmarshalKnown is [Unmarshal] for what a person has written: a member that v
// does not know is an error, which names it.
func UnmarshalKnown(data []byte, v any) error {
	if Deeper(data, MaxDepth) {
		return errors.New("strictjson: nested too deep")
	}
	return redact(json.Unmarshal(data, v, json.RejectUnknownMembers(true)))
}
