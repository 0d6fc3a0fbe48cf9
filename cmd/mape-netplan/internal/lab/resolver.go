package lab

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Resolver is the line's: it knows what it was told, under its own address only.
type Resolver struct {
	mu     sync.Mutex
	names  map[string][]netip.Addr
	silent bool
	asked  []string
}

// ResolverAddress is where it is.
var ResolverAddress = netip.MustParseAddr("2001:db8:7f01::53")

// resolve starts the line's resolver.
func (n *Network) resolve() error {
	if err := n.WAN.address("lo", netip.PrefixFrom(ResolverAddress, 128).String()); err != nil {
		return err
	}
	n.Resolver = &Resolver{names: map[string][]netip.Addr{}}
	return n.WAN.Do(func() error {
		c, err := net.ListenPacket("udp6", netip.AddrPortFrom(ResolverAddress, 53).String())
		if err != nil {
			return err
		}
		n.closers = append(n.closers, c)
		go answerUDP(c, func(_ net.Addr, question []byte) []byte { return n.Resolver.answer(question) })
		return nil
	})
}

// Know gives a name its AAAA records, in this order; without any it does not exist.
func (r *Resolver) Know(name string, addresses ...netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[strings.TrimSuffix(name, ".")+"."] = addresses
}

// Silence has it answer nothing, or answer again.
func (r *Resolver) Silence(silent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = silent
}

// Asked is each question so far, as "AAAA name.".
func (r *Resolver) Asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// answer is what a question of DNS gets, nil for nothing.
func (r *Resolver) answer(question []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	r.asked = append(r.asked, strings.TrimPrefix(q.Type.String(), "Type")+" "+q.Name.String())
	if r.silent {
		return nil
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	addresses := r.names[q.Name.String()]
	if len(addresses) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addresses {
		if q.Type == dnsmessage.TypeAAAA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AAAAResource{AAAA: a.As16()},
			})
		}
	}
	packed, _ := m.Pack()
	return packed
}
