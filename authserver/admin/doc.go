// Package admin is what operators do to an authorization server: register
// clients and renew their secrets, make accounts and sign people out, look for
// tokens and revoke them, rotate signing keys, search the audit log.
//
// [Operations] has all of it in Go; the pages and the command line call that.
// [API] answers HTTP requests with it, in JSON:
//
//	ops, err := admin.New(admin.Config{Server: server, Store: store, Clients: store, …})
//	…
//	http.ListenAndServe("127.0.0.1:9090", admin.NewAPI(ops, nil))
//
// # What is never shown
//
// No answer holds a token, the key of one, a hash, or a private key. A client
// secret or a password is in the answer of the call that made it, and nowhere
// else.
//
// # On record
//
// Every change is an [authserver.Event] that says who did it. It is recorded
// after it was done: an error that wraps [ErrNotRecorded] means that it was
// done, and that the audit log does not know. What was made is returned with it,
// as it works; a client or account that can be taken back is: [ErrTakenBack].
package admin
