package main

import (
	"context"
	"fmt"
	"time"
)

// A dataFlags says where the database of a server is.
type dataFlags struct {
	Data string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
}

// openSlow is how long a database may take before whoever waits is told.
const openSlow = 2 * time.Second

// open opens the database, and makes it if create is set and there is none; it
// says so. The caller closes it.
func (f *dataFlags) open(ctx context.Context, con *console, create bool) (database, error) {
	slow := time.AfterFunc(openSlow, func() {
		fmt.Fprintln(con.err, "sneck: still waiting for the database (hint: another program may have locked it)")
	})
	store, created, err := openData(ctx, f.Data, create)
	slow.Stop()
	if created && err == nil {
		fmt.Fprintf(con.err, "sneck: made a new database in %s\n", f.Data)
	}
	return store, err
}

// A jsonFlag asks for JSON instead of text for people.
type jsonFlag struct {
	JSON bool `name:"json" help:"Print JSON: an object, or one to a line."`
}
