package strictjson_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/internal/strictjson"
)

func TestUnmarshalKnown(t *testing.T) {
	type written struct {
		Name string    `json:"name"`
		At   time.Time `json:"at"`
		List []int     `json:"list"`
	}
	for in, want := range map[string]string{
		`{"name":"a","list":[1]}`:            "",
		`{"name":"a","nmae":"s3cret"}`:       `there is no member "nmae"`,
		`{"Name":"s3cret"}`:                  `there is no member "Name"`,
		`{"name":"a","name":"s3cret"}`:       `the member "name" is there twice`,
		`{"name":7}`:                         `what is at "/name" can not be a number, or not that one`,
		`{"at":"s3cret"}`:                    `what is at "/at" can not be a string, or not that one`,
		`{"list":[1,"s3cret"]}`:              `what is at "/list/1" can not be a string, or not that one`,
		" null\n":                            `it is null`,
		`["s3cret"]`:                         `what is at "" can not be a [, or not that one`,
		`{"name":"s3cret"} x`:                `it is not JSON from byte 18 on`,
		`{"name":"s3cret`:                    `it is not JSON from byte 15 on`,
		``:                                   `it is not JSON from byte 0 on`,
		strings.Repeat(`{"name":`, 40) + "1": `it is nested too deep`,
	} {
		err := strictjson.UnmarshalKnown([]byte(in), new(written))
		if want == "" {
			assert.NoError(t, err, in)
		} else {
			assert.EqualError(t, err, want, in)
		}
	}
}
