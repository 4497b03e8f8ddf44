package pages

import (
	"net/http"

	"github.com/sneckauth/sneck/authserver"
)

// A failure is what the page "error" is about.
type failure struct {
	// Status is the HTTP status.
	Status int
	// Client is the name of the application that asked, or "".
	Client string
}

// showError tells the user what is wrong, and what to do about it.
func (s *Site) showError(w http.ResponseWriter, r *http.Request, e authserver.PageError) {
	v := s.view(r, "error", nil)
	v.Problem = "error." + e.Text
	if _, ok := v.texts[v.Problem]; !ok {
		v.Problem = "error.other"
	}
	data := failure{Status: e.Status}
	if e.Client != nil {
		data.Client = clientName(e.Client)
	}
	v.Data = data
	s.render(w, e.Status, v)
}

// A device is what the page "device" is about.
type device struct {
	// Step is "enter", "confirm", "connected" or "refused".
	Step string
	// Client and UserCode say which device it is, for "confirm".
	Client, UserCode string
}

// showDevice shows a page of the device flow. The step in between, where the
// user decides, is the page "consent".
func (s *Site) showDevice(w http.ResponseWriter, r *http.Request, p authserver.DevicePage) {
	v := s.view(r, "device", nil)
	data, status := device{UserCode: p.UserCode}, http.StatusOK
	if p.Client != nil {
		data.Client = clientName(p.Client)
	}
	switch p.Step {
	case authserver.DeviceWrong:
		v.Problem, status = "problem.wrong_code", http.StatusNotFound
		data.Step = "enter"
	case authserver.DeviceConfirm:
		data.Step = "confirm"
	case authserver.DeviceConnected:
		data.Step = "connected"
	case authserver.DeviceRefused:
		data.Step = "refused"
	default:
		data.Step = "enter"
	}
	v.Data = data
	s.render(w, status, v)
}
