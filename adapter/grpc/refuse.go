package grpc

import (
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sneckauth/sneck/middleware"
)

// Domain is the domain of every ErrorInfo.
const Domain = "github.com/sneckauth/sneck"

// refuse returns the status of a call that was not allowed, and sets the
// trailer that belongs to it. There is no header, as a client takes an answer
// that has one for begun and does not repeat the call.
func (g *Guard) refuse(c *call) error {
	d := c.decision
	if d.Reason == middleware.ReasonGone {
		return status.FromContextError(c.ctx.Err()).Err()
	}
	answer := answer{}
	g.guard.Refuse(answer, c.request, d)
	trailer := answer.metadata()
	if d.RetryAfter > 0 {
		// The server's say about when to repeat a call (gRFC A6).
		trailer = metadata.Join(trailer, metadata.Pairs("grpc-retry-pushback-ms", strconv.FormatInt(d.RetryAfter.Milliseconds(), 10)))
	}
	// Refused it is in any case: a trailer that can not be set is no reason
	// to say something else.
	_ = grpc.SetTrailer(c.ctx, trailer)
	s := status.New(code(&d), message(&d))
	detailed, err := s.WithDetails(details(&d)...)
	if err != nil {
		return s.Err()
	}
	return detailed.Err()
}

func code(d *middleware.Decision) codes.Code {
	switch d.Status() {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	}
	return codes.Unavailable
}

func message(d *middleware.Decision) string {
	if text := d.Description(); text != "" {
		return text
	}
	return "The call needs an access token"
}

// details returns what programs want to know, in so far as the challenge says
// it too.
func details(d *middleware.Decision) []protoadapt.MessageV1 {
	if d.Code() == "" {
		return nil // without credentials there is no error to tell about
	}
	info := &errdetails.ErrorInfo{Reason: strings.ToUpper(d.Code()), Domain: Domain}
	if len(d.Required) > 0 {
		info.Metadata = map[string]string{"scope": d.Required.String()}
	}
	list := []protoadapt.MessageV1{info}
	if d.RetryAfter > 0 {
		list = append(list, &errdetails.RetryInfo{RetryDelay: durationpb.New(d.RetryAfter)})
	}
	return list
}

// An answer is the header that the middleware would have sent over HTTP. It is
// an [http.ResponseWriter] that keeps nothing else.
type answer http.Header

func (a answer) Header() http.Header         { return http.Header(a) }
func (a answer) Write(p []byte) (int, error) { return len(p), nil }
func (a answer) WriteHeader(int)             {}

// metadata returns what of the header has a meaning in gRPC, or nil.
func (a answer) metadata() metadata.MD {
	var md metadata.MD
	for _, name := range []string{"Www-Authenticate", "Dpop-Nonce"} {
		if values := a[name]; len(values) > 0 {
			if md == nil {
				md = metadata.MD{}
			}
			md.Append(name, values...)
		}
	}
	return md
}
