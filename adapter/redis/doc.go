// Package redis lets the caches of several processes share what they know
// through Redis 6.2 or later, or Valkey: a [Redis] is a
// [github.com/sneckauth/sneck/cache.Store] for answers and a
// [github.com/sneckauth/sneck/cache.Bus] for revocations. With a [Limiter],
// authorization servers count together how often somebody asks.
//
// One server, a primary watched by Sentinels, and a Redis Cluster will do.
// Redis is never needed: a process starts without it, goes on without it, and
// comes back to it; while it is away each process asks for itself. Nor is it
// trusted: what the cache stores is sealed, and what the server sends is
// checked for its size before it is read.
//
// # What is in Redis
//
// Under Prefix: one string for each answer, with a time to live, and one
// stream, "bus", with the messages of the last Retention. The user needs the
// commands GETRANGE, SET, DEL, XADD, XREAD, XRANGE, XTRIM, PEXPIRE, EVAL,
// INFO and PING on these keys. Let Redis evict (maxmemory-policy
// allkeys-lru): an evicted answer is asked for again.
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
// it reports the loss and reads the stream from its beginning.
//
// A subscriber that joins gets what the stream holds, too: an answer that
// another process shared may have been voided before this one was started.
package redis
