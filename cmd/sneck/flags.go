package main

import "context"

// A dataFlags says where the database of a server is.
type dataFlags struct {
	Data string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
}

// open opens the database, which must be there. The caller closes it.
func (f *dataFlags) open(ctx context.Context) (database, error) {
	store, _, err := openData(ctx, f.Data, false)
	return store, err
}

// A jsonFlag asks for JSON instead of text for people.
type jsonFlag struct {
	JSON bool `name:"json" help:"Print JSON: an object, or one to a line."`
}
