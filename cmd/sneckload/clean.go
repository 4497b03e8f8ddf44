//go:build linux

package main

import "context"

type cleanCommand struct{}

func (*cleanCommand) Run(context.Context, *bench) error { return nil }
