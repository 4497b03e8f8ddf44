// Package songspb is generated from songs.proto.
package songspb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative songs.proto
