package main

import (
	"slices"
	"strconv"
	"strings"
)

// row is one line of a matrix.
type row struct {
	id   string // its number in docs/reliability.md §3, with the F, or in docs/reliability.md §4
	name string
	does string // what is done, for readers of the output
	bar  string // what must hold
	// guards is the rule of the project without which the row must turn red; the mutation
	// of the same id in testdata/mutations.txt breaks it.
	guards string

	logins int // in flight by default; 0: the row counts something else
	short  int // logins of the row in `make test`; 0: it is not one of the short set
	// alone marks a row whose bar is a short time or an amount of memory: no other row runs
	// beside it.
	alone bool
	rig   rig
	run   func(s *stage)
	// tests are the tests that show the row, or what run leaves out of it.
	tests []goTests
}

// rig is what stands before a row begins.
type rig struct {
	replicas int    // 3
	none     bool   // nothing: the row builds what it needs
	balancer string // a shipped configuration; none: clients spread over the replicas themselves
	redis    string // "durable" keeps every write, "everysec" those of a second ago, "" none
	noRedis  bool
	edges    edges
	args     []string // further arguments of redis-server
	env      []string
	pushTo   []int // the replicas that get pushes; nil: all
}

// edges are the places where a fault proxy stands.
type edges int

const (
	redisEdge  edges = 1 << iota // one for each replica
	wechatEdge                   // of the replicas' API calls
	clientEdge                   // of the browsers
)

// goTests are tests of a package that stand for a row.
type goTests struct {
	pkg string // "./callback"
	run string // of `go test -run`
}

// rows are both matrices, in the order of docs/reliability.md.
func rows() []row {
	all := slices.Concat(redisFaults, streamFaults, processFaults, balancerFaults, clientFaults, machineFaults, wechatFaults, pushFaults, pageFaults,
		handshakeAbuses, httpAbuses, socketAbuses, packetAbuses, originAbuses, pushAbuses, loginAbuses, exposureAbuses)
	slices.SortStableFunc(all, func(a, b row) int { return a.order() - b.order() })
	return all
}

// order is the place of a row: faults before abuses, by number.
func (r row) order() int {
	if number, fault := strings.CutPrefix(r.id, "F"); fault {
		n, _ := strconv.Atoi(number)
		return n
	}
	n, _ := strconv.Atoi(r.id)
	return 1000 + n
}

// find returns the row of an id, in any case.
func find(id string) (row, bool) {
	for _, r := range rows() {
		if strings.EqualFold(r.id, id) {
			return r, true
		}
	}
	return row{}, false
}
