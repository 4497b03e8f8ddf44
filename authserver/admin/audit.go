package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/sneckauth/sneck/authserver/audit"
)

// AuditSearch returns up to limit entries of the audit log, the newest first:
// see [audit.Search]. It is ErrAbsent without an audit log.
func (o *Operations) AuditSearch(ctx context.Context, q audit.Query, after string, limit int) (*audit.Found, error) {
	if o.config.AuditPath == "" {
		return nil, refuse(ErrAbsent, "the server keeps no audit log (hint: sneck serve --audit FILE)")
	}
	found, err := audit.Search(ctx, o.config.AuditPath, q, after, pageSize(limit))
	if errors.Is(err, audit.ErrNext) {
		return nil, invalid(err)
	}
	if err != nil {
		return nil, fmt.Errorf("admin: search the audit log: %w", err)
	}
	return found, nil
}
