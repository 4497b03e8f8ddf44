// Package pages is what people see of an [authserver.Server]: they sign in,
// decide what an application may do, connect devices, look at what they have
// allowed and take it back, and sign out.
//
// A [Site] is made of a [Config] and gives the server its Login, its other
// pages and the check whether an account still exists:
//
//	site, err := pages.New(pages.Config{Issuer: issuer, Store: store, Clients: store})
//	server, err := authserver.New(authserver.Config{
//		Issuer: issuer, Store: store, Clients: store,
//		Login: site.Login, Pages: site.Pages(), Hooks: authserver.Hooks{Subject: site.Subject},
//	})
//	http.ListenAndServe(address, site.Handler(server))
//
// The handler answers at these paths, and passes everything else on:
//
//	/account            what this person has allowed, and where they are signed in
//	/account/password   another password
//	/signout            the end of the session
//	/assets/…           style sheet and script
//
// What people do is an event of the server if Config.Record is its method
// Record.
//
// Accounts, sessions and passkeys are records in the server's store, see
// [Accounts]. The pages need no JavaScript, but for passkeys, follow the
// browser in dark and light, and are there in English and German. Every file
// of them can be replaced: see Config.Files.
package pages
