package authserver

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"
)

const (
	// maxBody is the longest request body that is read, in bytes.
	maxBody = 64 << 10
	// maxParams is the largest number of parameters in a request.
	maxParams = 100
)

// Form holds the parameters of a request. A parameter without a value counts
// as left out (RFC 6749, section 3.2).
type Form url.Values

// Get returns the value of a parameter, or "" if it was left out.
func (f Form) Get(name string) string { return url.Values(f).Get(name) }

// Resources returns the values of the "resource" parameter, the one that may
// be repeated (RFC 8707, section 2).
func (f Form) Resources() []string { return f["resource"] }

// readForm reads the parameters of a POST request. It refuses everything that
// two readers could read in two ways: repeated parameters, parameters in the
// query, other media types.
func readForm(w http.ResponseWriter, r *http.Request) (Form, error) {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return nil, invalidRequest("parameters belong into the body, not into the query")
	}
	if err := checkFormType(r.Header.Values("Content-Type")); err != nil {
		return nil, err
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
	return parseForm(string(body))
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
	return Form(values), nil
}
