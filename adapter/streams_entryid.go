package adapter

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// entryID is the id of a stream entry. Only Redis makes them: its clock may jump,
// so they say nothing about time.
type entryID struct{ millis, sequence uint64 }

// parseEntryID takes exactly <digits>-<digits>.
func parseEntryID(s string) (entryID, bool) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok || !allDigits(ms) || !allDigits(seq) {
		return entryID{}, false
	}
	m, err1 := strconv.ParseUint(ms, 10, 64)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	return entryID{m, n}, err1 == nil && err2 == nil
}

func allDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

func (id entryID) String() string {
	return strconv.FormatUint(id.millis, 10) + "-" + strconv.FormatUint(id.sequence, 10)
}

func (id entryID) compare(other entryID) int {
	return cmp.Or(cmp.Compare(id.millis, other.millis), cmp.Compare(id.sequence, other.sequence))
}

// next is the smallest id after id.
func (id entryID) next() entryID {
	if id.sequence == math.MaxUint64 {
		return entryID{id.millis + 1, 0}
	}
	return entryID{id.millis, id.sequence + 1}
}
