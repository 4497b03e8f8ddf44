// Package ui is package admin in a browser: pages for clients, people, tokens,
// signing keys, scopes and the audit log, in the manner of package pages, whose
// layout, languages and sign-in they share.
//
//	site, err := ui.New(ui.Config{Operations: ops, Pages: pages.Config{Issuer: "https://admin.example.com", Store: store, Clients: store}})
//	…
//	http.ListenAndServe("127.0.0.1:9090", site)
//
// # Who may enter
//
// People whose account is an administrator's, which is looked up for every
// request, and who have signed in to these pages less than an hour ago. To be
// signed in to the pages of the server is of no use here.
//
// # What it does
//
// Whatever ends or deletes something shows first what that is about, and does
// it after a form was sent. A secret or password that was made is shown once:
// until then it lies in the store, encrypted with what only the browser knows.
// No page has a token, or the hash of a secret.
package ui
