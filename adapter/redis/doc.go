// Package redis lets the caches of several processes share what they know
// through Redis 6.2 or later, or Valkey: a [Redis] is a
// [github.com/sneckauth/sneck/cache.Store] for answers and a
// [github.com/sneckauth/sneck/cache.Bus] for revocations. On top of it, a
// [Replays] remembers DPoP proofs for all guards of a service, and with a
// [Limiter] authorization servers count together how often somebody asks.
//
// One server, a primary watched by Sentinels, and a Redis Cluster will do.
// The caches never need Redis: a process starts without it, goes on without it,
// and comes back to it; while it is away each process asks for itself. A
// Replays does need it: see there. Nor is Redis
// trusted: what the cache stores is sealed, and what the server sends is
// checked for its size before it is read.
//
// # What is in Redis
//
// Under Prefix: one string for each answer, with a time to live, and one
// stream, "bus", with the messages of the last Retention; and one key for each
// proof that a Replays remembers. The user needs the
// commands GETRANGE, SET, DEL, XADD, XREAD, XRANGE, XTRIM, PEXPIRE, EVAL,
// INFO and PING on these keys. Let Redis evict (maxmemory-policy
// allkeys-lru): an evicted answer is asked for again. An evicted proof is good
// again, so a Replays should have a server that does not evict.
//
// # The bus
//
// Redis has two means to spread a message. PUBLISH reaches whom it reaches
// and leaves no trace, so that a subscriber whose connection was away for a
// moment can not learn what it missed. A stream keeps messages in order under
// identifiers, and XREAD BLOCK waits for the next as fast as a subscription
// does. So the bus is one stream, and spreading and catching up are the same
// command: "everything after the last identifier I saw".
//
// That is complete as long as the stream is the one that the subscriber knew.
// After every read, and once in a second in which nothing arrives, it checks
// that the last entry it knew is still in the stream (trimming takes the
// oldest first, so then nothing after it was taken), and that the server still
// has the replication id that it had (a restart and a failover change it, and
// either can lose messages that were acknowledged). Where one of them fails,
// it reports the loss and reads the stream from its beginning. While the stream
// can't be read, it says so.
//
// A subscriber that joins gets what the stream holds, too: an answer that
// another process shared may have been voided before this one was started. How
// far back that is complete, it learns from anchors: entries of one a minute
// that carry the replication id of their server. Nothing is missing after the
// first of those that stand at the end of the stream and are all of the present
// server. So an answer is used only if it was asked about after that moment,
// however the stream was lost: evicted, flushed, trimmed, or by a failover.
// Where the server does not tell its replication id, that moment is the one of
// joining, or of the last lost connection.
//
// A message that the primary confirmed and that another primary, which had
// taken over unnoticed, never gets, can not be noticed while both are up: let
// min-replicas-to-write stop a primary that is alone.
package redis
