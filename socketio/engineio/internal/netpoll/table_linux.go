//go:build linux && !goroutinereaders

package netpoll

// table finds handlers by a small number made from their descriptors. Its pages come
// and go with the handlers, so that a loop which many connections only pass through
// keeps no place for them.
type table struct {
	pages []*page
	count int   // of the handlers
	spare *page // an empty one, for connections that come and go one by one
}

type page struct {
	handlers [pageSize]Handler
	used     int
}

// pageSize makes a page fill one of the allocator's sizes, 1 KiB.
const pageSize = 63

// at returns the handler of a place, nil when there is none.
func (t *table) at(i int) Handler {
	number, place := i/pageSize, i%pageSize
	if number >= len(t.pages) || t.pages[number] == nil {
		return nil
	}
	return t.pages[number].handlers[place]
}

// set puts h, which may be nil, into a place.
func (t *table) set(i int, h Handler) {
	number, place := i/pageSize, i%pageSize
	for len(t.pages) <= number {
		t.pages = append(t.pages, nil)
	}
	p := t.pages[number]
	if p == nil {
		if h == nil {
			return
		}
		if p = t.spare; p == nil {
			p = &page{}
		}
		t.pages[number], t.spare = p, nil
	}
	before, after := p.handlers[place] != nil, h != nil
	p.handlers[place] = h
	switch {
	case after && !before:
		p.used++
		t.count++
	case before && !after:
		t.count--
		if p.used--; p.used == 0 {
			t.pages[number], t.spare = nil, p
		}
	}
}

// all yields every handler.
func (t *table) all(yield func(Handler) bool) {
	for _, p := range t.pages {
		if p == nil {
			continue
		}
		for _, h := range p.handlers {
			if h != nil && !yield(h) {
				return
			}
		}
	}
}
