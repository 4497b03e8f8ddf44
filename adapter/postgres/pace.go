package postgres

import "time"

const (
	// fewest is how many callers the last batch must have had for the next to
	// be waited for.
	fewest = 4
	// maxPatience is the longest time for which a batch is waited for.
	maxPatience = 20 * time.Millisecond
	// maxPass is the most batches that are not waited for after one in vain.
	maxPass = 512
)

// A pace tells how many callers make up a batch. Under load, who was answered
// comes again soon, so a commit that waits for them is shared by all, where one
// at once would leave some for the next, and so on for ever: two halves that
// take turns pay for twice as many commits. If they do not come, the next
// batches are not waited for, more of them each time.
type pace struct {
	most     int           // callers
	expected int           // callers
	took     time.Duration // by a batch, about
	pass     int           // how many batches are not waited for
	passes   int           // how many it were after the last in vain
}

// wanted returns for how many callers to wait and how long. Zero is not to
// wait.
func (p *pace) wanted() (callers int, patience time.Duration) {
	if p.expected < fewest {
		return 0, 0
	}
	if p.pass > 0 {
		p.pass--
		return 0, 0
	}
	// Not for the last few, who may be gone.
	return p.expected - p.expected/8, min(3*p.took, maxPatience)
}

// waited learns whether those who were waited for have come.
func (p *pace) waited(came bool) {
	if came {
		p.passes = 0
		return
	}
	p.passes = min(2*p.passes+8, maxPass)
	p.pass = p.passes
}

// committed learns how many callers were in a batch, how many have come
// meanwhile, and how long it took.
func (p *pace) committed(batch, queued int, took time.Duration) {
	p.expected = min(batch+queued, p.most)
	p.took += (took - p.took) / 4
}
