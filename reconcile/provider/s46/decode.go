package s46

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/provider/offer"
	"mape-netplan/reconcile/softwire"
)

// containers are the options that hold a mechanism, in the order in which they are taken where the server gives none: those
// with a port set of the customer's own first, and a tunnel before a translation.
var containers = []container{
	{containerMAPE, "MAP-E container (94)", (*decoder).mapE},
	{containerLW, "lw4o6 container (96)", (*decoder).lw4o6},
	{containerMAPT, "MAP-T container (95)", (*decoder).mapT},
	{aftrName, "AFTR name (64)", (*decoder).aftr},
}

type container struct {
	code uint16
	name string
	read func(*decoder, []byte) (offer.Mechanism, error)
}

// A decoder collects what of the options is ignored, and why: the RFCs have a client ignore what is wrong, without an error.
type decoder struct {
	ignored []string
	within  string // the name of the container
}

func (d *decoder) ignore(what string, err error) {
	d.ignored = append(d.ignored, what+": "+err.Error())
}

// decode returns the mechanisms of options in the order of preference: those of the server's list first (RFC 8026 section
// 1.1), and of them all those of one kind in the order in which they came.
func decode(all []option) ([]offer.Mechanism, []string) {
	var d decoder
	var order []uint16
	if i := slices.IndexFunc(all, func(o option) bool { return o.code == s46Priority }); i >= 0 {
		for b := all[i].data; len(b) >= 2; b = b[2:] {
			order = append(order, binary.BigEndian.Uint16(b))
		}
	}
	for _, c := range containers {
		order = append(order, c.code)
	}
	of, named := map[uint16][]offer.Mechanism{}, false
	for _, o := range all {
		i := slices.IndexFunc(containers, func(c container) bool { return c.code == o.code })
		if i < 0 || o.code == aftrName && named { // RFC 6334 section 5: only the first one is used.
			continue
		}
		named = named || o.code == aftrName
		d.within = containers[i].name
		m, err := containers[i].read(&d, o.data)
		if err != nil {
			d.ignore(d.within, err)
			continue
		}
		of[o.code] = append(of[o.code], m)
	}
	var offered []offer.Mechanism
	for _, code := range order {
		offered = append(offered, of[code]...)
		delete(of, code)
	}
	return offered, d.ignored
}

// aftr reads the first name, in the wire format of DNS without compression (RFC 6334 section 3).
func (*decoder) aftr(b []byte) (offer.Mechanism, error) {
	if len(b) <= 3 {
		return offer.Mechanism{}, fmt.Errorf("it has %d bytes, and must have more than 3", len(b))
	}
	var labels []string
	for {
		switch {
		case len(b) == 0 || int(b[0]) >= len(b):
			return offer.Mechanism{}, errors.New("a label is longer than the option, or the name has no end")
		case b[0] > 63 || bytes.Contains(b[1:1+b[0]], []byte(".")):
			return offer.Mechanism{}, errors.New("it is compressed, or a label has a dot or more than 63 bytes")
		case b[0] == 0:
			name := strings.Join(labels, ".")
			return offer.Mechanism{Mode: softwire.DSLite, FarEnd: name}, offer.CheckName(name)
		}
		labels = append(labels, string(b[1:1+b[0]]))
		b = b[1+b[0]:]
	}
}

// contents are the options of a container.
type contents struct {
	rules []softwire.Rule // without a far end
	mesh  bool
	br    []netip.Addr
	dmr   []netip.Prefix
	bind  []softwire.Binding
}

// contents reads a container. Its order is free (kea sends the border relay before the binding).
func (d *decoder) contents(b []byte) (contents, error) {
	var c contents
	for o, err := range options(b) {
		switch {
		case err != nil:
			return c, err
		case o.code == s46Rule:
			r, forwarding, err := rule(o.data)
			if err != nil {
				d.ignore(d.within+", rule (89)", err)
				continue
			}
			c.rules, c.mesh = append(c.rules, r), c.mesh || forwarding
		case o.code == s46BR:
			a, ok := netip.AddrFromSlice(o.data)
			if !ok || !a.Is6() {
				d.ignore(d.within+", border relay (90)", fmt.Errorf("it has %d bytes, and must have 16", len(o.data)))
				continue
			}
			c.br = append(c.br, a)
		case o.code == s46DMR:
			p, _, err := prefixAt(o.data)
			if err != nil {
				return c, fmt.Errorf("default mapping rule (91): %w", err)
			}
			c.dmr = append(c.dmr, p)
		case o.code == s46Bind:
			binding, err := binding(o.data)
			if err != nil {
				return c, fmt.Errorf("binding (92): %w", err)
			}
			c.bind = append(c.bind, binding)
		}
	}
	return c, nil
}

func (d *decoder) mapE(b []byte) (offer.Mechanism, error) {
	c, err := d.contents(b)
	switch {
	case err != nil:
		return offer.Mechanism{}, err
	case len(c.br) == 0:
		return offer.Mechanism{}, errNoRelay
	}
	return d.mapping(softwire.MAPE, c, softwire.Rule{BR: c.br[0]})
}

func (d *decoder) mapT(b []byte) (offer.Mechanism, error) {
	c, err := d.contents(b)
	switch {
	case err != nil:
		return offer.Mechanism{}, err
	case len(c.dmr) != 1:
		return offer.Mechanism{}, fmt.Errorf("it has %d default mapping rules (91), and must have one", len(c.dmr))
	}
	return d.mapping(softwire.MAPT, c, softwire.Rule{DMR: c.dmr[0]})
}

// mapping is a mechanism of the rules that can be used with a far end.
func (d *decoder) mapping(mode softwire.Mode, c contents, far softwire.Rule) (offer.Mechanism, error) {
	m := offer.Mechanism{Mode: mode, InterfaceID: softwire.RFC7597, Mesh: c.mesh}
	for _, r := range c.rules {
		r.BR, r.DMR = far.BR, far.DMR
		if err := r.Check(); err != nil {
			d.ignore(d.within+", rule (89)", err)
			continue
		}
		m.Rules = append(m.Rules, r)
	}
	if len(m.Rules) == 0 {
		return m, errors.New("it has no rule (89) that can be used")
	}
	return m, softwire.CheckRules(m.Rules)
}

var errNoRelay = errors.New("it has no border relay (90)")

func (d *decoder) lw4o6(b []byte) (offer.Mechanism, error) {
	c, err := d.contents(b)
	switch {
	case err != nil:
		return offer.Mechanism{}, err
	case len(c.br) == 0:
		return offer.Mechanism{}, errNoRelay
	case len(c.bind) != 1: // The RFC allows none, for an address that comes another way, which this program has not.
		return offer.Mechanism{}, fmt.Errorf("it has %d bindings (92), and must have one", len(c.bind))
	}
	m := offer.Mechanism{Mode: softwire.LW4o6, FarEnd: c.br[0].String(), Binding: c.bind[0]}
	return m, m.Check()
}

// rule reads S46_RULE (RFC 7598 section 4.1). forwarding is set if other customers are reached by it directly.
func rule(b []byte) (r softwire.Rule, forwarding bool, err error) {
	switch {
	case len(b) < 8:
		return r, false, fmt.Errorf("it has %d bytes, and must have 8 at least", len(b))
	case b[1] > 48 || b[2] > 32:
		return r, false, fmt.Errorf("%d EA bits and an IPv4 prefix of %d bits: they must be 48 and 32 at most", b[1], b[2])
	}
	r.EABits, r.IPv4 = int(b[1]), netip.PrefixFrom(netip.AddrFrom4([4]byte(b[3:7])), int(b[2])).Masked()
	var rest []byte
	if r.IPv6, rest, err = prefixAt(b[7:]); err != nil {
		return r, false, err
	}
	p, err := portParams(rest, 6) // RFC 7597 section 5.1: the offset is 6 by default.
	if err != nil {
		return r, false, err
	}
	r.PSIDOffset = p.PSIDOffset
	if p.PSIDLen > 0 && r.IPv4.Bits()+r.EABits >= 32 { // RFC 7598 section 4.5: a CE with a prefix has no PSID.
		r.PSID = &softwire.PSID{Value: p.PSID, Len: p.PSIDLen}
	}
	return r, b[0]&1 != 0, nil
}

// binding reads S46_V4V6BIND (RFC 7598 section 4.4).
func binding(b []byte) (softwire.Binding, error) {
	if len(b) < 5 {
		return softwire.Binding{}, fmt.Errorf("it has %d bytes, and must have 5 at least", len(b))
	}
	prefix, rest, err := prefixAt(b[4:])
	if err != nil {
		return softwire.Binding{}, err
	}
	ports, err := portParams(rest, 0) // RFC 7596 section 5.1: the offset should be 0.
	return softwire.Binding{IPv4: netip.AddrFrom4([4]byte(b)), Ports: ports, Prefix: prefix}, err
}

// portParams reads the first S46_PORTPARAMS of the options of a rule or of a binding (RFC 7598 section 4.5).
func portParams(b []byte, offset int) (softwire.Ports, error) {
	for o, err := range options(b) {
		switch {
		case err != nil:
			return softwire.Ports{}, err
		case o.code != s46PortParams:
			continue
		case len(o.data) != 4:
			return softwire.Ports{}, fmt.Errorf("port parameters (93): they have %d bytes, and must have 4", len(o.data))
		case o.data[0] > 15 || o.data[1] > 16 || o.data[0]+o.data[1] > 16:
			return softwire.Ports{}, fmt.Errorf("port parameters (93): offset %d and a PSID of %d bits: a port has 16 bits, and the offset is at most 15", o.data[0], o.data[1])
		}
		p := softwire.Ports{PSIDOffset: int(o.data[0]), PSIDLen: int(o.data[1])}
		// The PSID is left-aligned; without a length it is ignored.
		p.PSID = uint16(uint32(binary.BigEndian.Uint16(o.data[2:])) >> (16 - p.PSIDLen))
		return p, nil
	}
	return softwire.Ports{PSIDOffset: offset}, nil
}
