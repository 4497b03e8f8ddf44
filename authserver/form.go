package authserver

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck/internal/strictjson"
)

// Form holds the parameters of a request. A parameter without a value counts
// as left out (RFC 6749, section 3.2).
type Form url.Values

// Get returns the value of a parameter, or "" if it was left out.
func (f Form) Get(name string) string { return url.Values(f).Get(name) }

// Resources returns the values of the "resource" parameter, the one that may
// be repeated (RFC 8707, section 2).
func (f Form) Resources() []string { return f["resource"] }

// A Decoder reads the parameters of a POST request. It refuses everything that
// two readers could read in two ways, such as repeated parameters, with an
// *Error.
type Decoder func(w http.ResponseWriter, r *http.Request) (Form, error)

// DecodeForm is the [Decoder] that the standards ask for (RFC 6749, section
// 3.2). A JSON body gets 415 and a text that names the mistake.
func DecodeForm(w http.ResponseWriter, r *http.Request) (Form, error) {
	if err := checkFormType(r.Header.Values("Content-Type")); err != nil {
		return nil, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	return parseForm(string(body))
}

// DecodeJSON is a [Decoder] that takes JSON besides forms: one object whose
// members are strings, or for "resource" a list of strings. It is for clients
// that can not do otherwise; no standard knows it.
func DecodeJSON(w http.ResponseWriter, r *http.Request) (Form, error) {
	contentType := r.Header.Values("Content-Type")
	if len(contentType) != 1 || !isJSON(contentType[0]) {
		return DecodeForm(w, r)
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	return parseJSON(body)
}

// readBody reads the body within its bounds.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return nil, invalidRequest("parameters belong into the body, not into the query")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &Error{
			Code: codeInvalidRequest, Description: "the body is too large",
			Status: http.StatusRequestEntityTooLarge,
		}
	}
	if err != nil {
		return nil, &Error{Code: codeInvalidRequest, Description: "the body could not be read", Err: err}
	}
	return body, nil
}

func isJSON(contentType string) bool {
	mediaType, params, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json" && (params["charset"] == "" || isUTF8(params["charset"]))
}

// parseJSON decodes an object of strings.
func parseJSON(body []byte) (Form, error) {
	var members map[string]jsontext.Value
	if err := strictjson.Unmarshal(body, &members); err != nil || members == nil {
		return nil, invalidRequest("the body is not a JSON object with distinct members")
	}
	if len(members) > maxParams {
		return nil, invalidRequest("there are too many parameters")
	}
	form := Form{}
	for name, value := range members {
		var list []string
		var one string
		switch {
		case strictjson.Unmarshal(value, &one) == nil && value.Kind() == '"':
			list = []string{one}
		case name == "resource" && strictjson.Unmarshal(value, &list) == nil && value.Kind() == '[' && len(list) <= maxParams:
		default:
			return nil, invalidRequest("a member of the JSON object is not a string")
		}
		if name == "resource" || list[0] != "" {
			form[name] = list
		}
	}
	return form, form.checkSize()
}

func checkFormType(contentType []string) error {
	wrong := &Error{
		Code:        codeInvalidRequest,
		Description: "the Content-Type must be application/x-www-form-urlencoded",
		Status:      http.StatusUnsupportedMediaType,
	}
	if len(contentType) != 1 {
		return wrong
	}
	switch mediaType, params, err := mime.ParseMediaType(contentType[0]); {
	case err == nil && mediaType == "application/json":
		wrong.Description = "JSON is not understood here: send the parameters as application/x-www-form-urlencoded"
		return wrong
	case err != nil || mediaType != "application/x-www-form-urlencoded":
		return wrong
	case params["charset"] != "" && !isUTF8(params["charset"]):
		wrong.Description = "the charset must be UTF-8"
		return wrong
	}
	return nil
}

func isUTF8(charset string) bool {
	return len(charset) == 5 && charset[0]|0x20 == 'u' && charset[1]|0x20 == 't' && charset[2]|0x20 == 'f' && charset[3:] == "-8"
}

// parseForm decodes application/x-www-form-urlencoded parameters.
func parseForm(body string) (Form, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		// The cause quotes the body, so it does not go into the log.
		return nil, invalidRequest("the body is not well-formed application/x-www-form-urlencoded")
	}
	if len(values) > maxParams {
		return nil, invalidRequest("there are too many parameters")
	}
	for name, list := range values {
		if !utf8.ValidString(name) {
			return nil, invalidRequest("the body is not valid UTF-8")
		}
		for _, value := range list {
			if !utf8.ValidString(value) {
				return nil, invalidRequest("the body is not valid UTF-8")
			}
		}
		switch {
		case name == "resource":
			if len(list) > maxParams {
				return nil, invalidRequest("there are too many parameters")
			}
		case len(list) > 1:
			return nil, invalidRequest("a parameter is repeated")
		case list[0] == "":
			delete(values, name)
		}
	}
	form := Form(values)
	return form, form.checkSize()
}
