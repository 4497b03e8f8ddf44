// Package brief shortens what clients choose before it is logged: a request of a
// few bytes must not become a line of many, nor one of many two such lines.
package brief

import "net/http"

// maxMethod is more than the longest method that is registered has bytes.
const maxMethod = 32

// Method returns the method of a request, or the beginning of it.
func Method(r *http.Request) string {
	if len(r.Method) <= maxMethod {
		return r.Method
	}
	return r.Method[:maxMethod] + "…"
}
