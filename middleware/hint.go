package middleware

import "fmt"

// Hint returns what an operator can do about a refusal, in a sentence; "" for
// a request that is allowed. Like [Decision.String] it is not for clients.
func (d Decision) Hint() string {
	if d.Allowed {
		return ""
	}
	switch d.Reason {
	case ReasonNoToken:
		return "the client must send \"Authorization: Bearer\" and a token; proxies on the way must not remove it"
	case ReasonSignIn:
		return "the credentials are wrong, of which Policy.Otherwise knows more"
	case ReasonMalformed:
		return "the client must send one token after the scheme and a space, with nothing around it"
	case ReasonTwoTokens:
		return "the client, or a proxy on its way, sends a second token; one place and one token only"
	case ReasonTooLong:
		return "the client sends something else than a token, or the authorization server puts too much into it"
	case ReasonPath:
		return "the path has an empty or dotted segment, a backslash, a semicolon, or an escape that hides one, or another spelling of it, of the method or of the host is under another route; the client has to send the plain one"
	case ReasonRequest:
		return "the request's body does not say clearly what it asks for, see the error"
	case ReasonInvalid:
		return "the authority calls the token expired, revoked or unknown; \"sneck introspect\" asks it again"
	case ReasonUnrecognized:
		return "no verifier is responsible for such a token; compare its issuer or prefix with the configured ones"
	case ReasonExpired:
		return "the client must get a new token; if that is refused at once, too, compare the clocks"
	case ReasonNotYet:
		return "compare the clocks of this server and of the authorization server"
	case ReasonAudience:
		return "the client must ask for a token for this resource server, or Config.Audience lacks the name that the authority uses for it"
	case ReasonBinding:
		return "the token is for the holder of a key: it takes a DPoP proof or the TLS certificate, and DPoP or MTLS in the Config"
	case ReasonProof:
		return "the proof must be for this method and URL, and seconds old; behind a proxy, see DPoP in the Config for the URL"
	case ReasonNonce:
		return "the client must repeat the request with the nonce of this answer in its proof"
	case ReasonReplay:
		return "the client must make a proof for each request, also when it repeats one"
	case ReasonCrossOrigin:
		return "a page of another site made the browser send this; if it may, use the Authorization header"
	case ReasonStepUp:
		return "the user must sign in as the challenge says; does the authority put acr and auth_time into its answers?"
	case ReasonScope:
		return fmt.Sprintf("the client must be allowed, and ask for: %s", d.Missing)
	case ReasonForbidden:
		return "no scope opens this method; if it should be open, the route's requirement lacks it"
	case ReasonNoRoute:
		return "the table has no route for this method and path; a route may lack the method, or a slash at its end"
	case ReasonStale:
		return "the verifier remembers answers for longer than the route allows and can not be made to ask anew"
	case ReasonUnavailable:
		return "the authority did not answer, see the error; clients are told to come back"
	case ReasonGone:
		return "the client left before the authority had answered; slow answers are a cause"
	}
	return "this is a mistake in a program: the stack is in the log"
}
