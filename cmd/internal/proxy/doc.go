// Package proxy stands between clients and a service in any language, with a
// guard in front: as a reverse proxy ([New]), or as the one whom another proxy
// asks whether a request may pass ([ForwardAuth]). In both ways the service
// learns who calls from header fields that nobody else can set.
package proxy
