// Package scopes is the language of permissions: a [Set] is what a token
// grants, a [Requirement] is what a route demands.
package scopes
