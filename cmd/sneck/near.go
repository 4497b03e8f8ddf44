package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxMeant is how many names are offered in place of one that is not there.
	maxMeant = 3
	// maxSlips is how far away a long name may be.
	maxSlips = 4
)

// meant asks whether one of the names was meant that are near a wrong one; it
// is empty if none is.
func meant(wrong string, names []string) string {
	near := nearest(wrong, names)
	if len(near) == 0 {
		return ""
	}
	for i, name := range near {
		near[i] = fmt.Sprintf("%q", name)
	}
	return "did you mean " + strings.Join(near, " or ") + "? "
}

// nearest returns the names that a few slips of the keyboard, or a missing
// end, away from a wrong one, the nearest first.
func nearest(wrong string, names []string) []string {
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	wrong = strings.ToLower(wrong)
	for _, name := range names {
		lower := strings.ToLower(name)
		switch far := distance(wrong, lower); {
		case far <= max(1, min(len(wrong)/3, maxSlips)):
			found = append(found, candidate{name, far})
		case wrong != "" && strings.HasPrefix(lower, wrong):
			found = append(found, candidate{name, len(wrong)})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	var near []string
	for _, c := range found[:min(len(found), maxMeant)] {
		near = append(near, c.name)
	}
	return near
}

// maxDistant is how long a name may be to be compared, in bytes.
const maxDistant = 64

// distance returns how many bytes must be put in, taken out, changed, or
// swapped with the next to make b of a.
func distance(a, b string) int {
	if len(a) > maxDistant || len(b) > maxDistant {
		return maxDistant
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			changed := last[j]
			if a[i] != b[j] {
				changed++
			}
			row[j+1] = min(changed, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
