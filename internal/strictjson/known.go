package strictjson

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// UnmarshalKnown is [Unmarshal] for what a person has written: a member that v
// does not know is an error, which names it. Errors say where in the text
// something is wrong, and nothing of Go.
func UnmarshalKnown(data []byte, v any) error {
	if Deeper(data, MaxDepth) {
		return errors.New("it is nested too deep")
	}
	if string(bytes.TrimSpace(data)) == "null" {
		return errors.New("it is null")
	}
	err := json.Unmarshal(data, v, json.RejectUnknownMembers(true))
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &semantic):
		return fmt.Errorf("there is no member %q", semantic.JSONPointer.LastToken())
	case errors.As(err, &syntactic) && errors.Is(err, jsontext.ErrDuplicateName):
		return fmt.Errorf("the member %q is there twice", syntactic.JSONPointer.LastToken())
	case errors.As(err, &syntactic):
		return fmt.Errorf("it is not JSON from byte %d on", syntactic.ByteOffset)
	case errors.As(err, &semantic):
		return fmt.Errorf("what is at %q can not be a %v, or not that one", semantic.JSONPointer, semantic.JSONKind)
	case err != nil:
		return errors.New("it is not JSON of the right form")
	}
	return nil
}
