package audit_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/audit"
)

// A server that does nothing which is not on record.
func Example() {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "audit.jsonl")

	record, err := audit.Open(audit.Config{Path: path})
	if err != nil {
		log.Fatal(err)
	}
	defer record.Close()
	memory := authserver.NewMemory()
	server, err := authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: memory, Clients: memory,
		Audit: record.Record, AuditRequired: true,
	})
	if err != nil {
		log.Fatal(err)
	}

	// Whatever changes clients uses a registry that tells the log.
	clients := authserver.ObserveClients(memory, record.Record)
	client, _, err := server.NewClient(context.Background(), authserver.Client{ID: "notes-api", Introspect: true}, true)
	if err != nil {
		log.Fatal(err)
	}
	if err := clients.PutClient(context.Background(), client); err != nil {
		log.Fatal(err)
	}

	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	report, err := audit.Verify(file, audit.Tip{}, audit.Tip{})
	fmt.Println(report.Lines, report.Last == record.Tip(), err)
	// Output: 1 true <nil>
}
