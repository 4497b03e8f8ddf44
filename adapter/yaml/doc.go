// Package yaml reads what a guard demands of requests from a file: a table of
// routes for a [middleware.Routes], which is put into force as a whole, at the
// start and whenever the file changes. [Decode] reads a program's own
// configuration in the same way.
//
//	routes:
//	  - route: GET /songs/{id}
//	    scopes: [songs:read]
//	  - route: GET /health
//	    public: true
//
// The file is read strictly: an unknown or repeated key, a value of the wrong
// kind, a pattern that is malformed or conflicts with another, and a
// requirement that nobody can meet are mistakes. All of them are reported at
// once, each with its key, line and column and, where there is one, a hint. Aliases
// are not taken: they make small files large, and people look for what a route
// demands where it stands. What a route may hold is in docs/routes.md, and in
// [RoutesSchema] for editors.
package yaml
