package nft

import "bytes"

// Slabs are what rules are made of. There may be thousands of rules, with a dozen small things each: those are cut
// from large pieces, for what the allocator and the garbage collector do for each is most of what reading a rule takes.
type slabs struct {
	steps     slab[Step]
	cases     slab[Case]
	intervals slab[Interval]
	bytes     slab[byte]
	words     map[string]string
	equals    map[string]map[string][]Case // by field and value
}

type slab[T any] struct{ free []T }

// take cuts off n of them, zero.
func (s *slab[T]) take(n int) []T {
	const piece = 512
	if len(s.free) < n {
		s.free = make([]T, max(n, piece))
	}
	some := s.free[:n:n]
	s.free = s.free[n:]
	return some
}

func (s *slab[T]) copy(of ...T) []T {
	some := s.take(len(of))
	copy(some, of)
	return some
}

// word is a text that comes again and again.
func (s *slabs) word(a attrs) string {
	if end := bytes.IndexByte(a, 0); end >= 0 {
		a = a[:end]
	}
	w, ok := s.words[string(a)]
	if !ok {
		if s.words == nil {
			s.words = map[string]string{}
		}
		w = string(a)
		s.words[w] = w
	}
	return w
}

// equal is the one value of a comparison. Those of interfaces, protocols and ports come again in most rules.
func (s *slabs) equal(fields []string, value attrs) []Case {
	field := ""
	if len(fields) == 1 && !isAddress(fields[0]) {
		field = fields[0]
		if all, ok := s.equals[field][string(value)]; ok {
			return all
		}
	}
	value = s.bytes.copy(value...)
	all := s.cases.copy(Case{Intervals: s.split(fields, value, value)})
	if field != "" {
		if s.equals == nil {
			s.equals = map[string]map[string][]Case{}
		}
		if s.equals[field] == nil {
			s.equals[field] = map[string][]Case{}
		}
		s.equals[field][string(value)] = all
	}
	return all
}
