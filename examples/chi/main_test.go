package main

import (
	"testing"

	"github.com/sneckauth/sneck/examples/internal/songstest"
)

func TestRoutes(t *testing.T) {
	songstest.Run(t, routes, songstest.Framework{Rule: "/users/{user}/songs", Escaped: true})
}
