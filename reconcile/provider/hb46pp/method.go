package hb46pp

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/provider/offer"
	"mape-netplan/reconcile/softwire"
)

// A method reads what a reply has under its name, and converts it.
type method struct {
	name       string
	read       func(*Reply, []byte) error
	mechanisms func(*Reply) []offer.Mechanism // none where the reply has not been read so far
}

const mapE = "map_e"

// methods are those that this program supports, as a request names them.
var methods = []method{
	{mapE, func(r *Reply, raw []byte) error { return set(&r.MAPE, parseMAPE, raw) }, (*Reply).mapE},
	{"map_t", func(r *Reply, raw []byte) error { return set(&r.MAPT, parseMAPT, raw) }, (*Reply).mapT},
	{"lw4o6", func(r *Reply, raw []byte) error { return set(&r.LW4o6, parseLW4o6, raw) }, (*Reply).lw4o6},
	{"dslite", func(r *Reply, raw []byte) error { return set(&r.DSLite, parseDSLite, raw) }, (*Reply).dsLite},
	{"ipip", func(r *Reply, raw []byte) error { return set(&r.IPIP, parseIPIP, raw) }, (*Reply).ipip},
}

// set takes what is read without an error.
func set[T any](to *T, parse func([]byte) (T, error), raw []byte) error {
	read, err := parse(raw)
	if err == nil {
		*to = read
	}
	return err
}

func methodOf(name string) (method, bool) {
	i := slices.IndexFunc(methods, func(m method) bool { return m.name == name })
	if i < 0 {
		return method{}, false
	}
	return methods[i], true
}

// methodNames are those of the methods that this program supports.
func methodNames() (all []string) {
	for _, m := range methods {
		all = append(all, m.name)
	}
	return all
}

// MAPT is the map_t of a reply.
type MAPT struct {
	DMR   netip.Prefix `json:"dmr"`
	Rules []Rule       `json:"rules"`
}

// LW4o6 is the lw4o6 of a reply. The lwAFTR is an address or a name.
type LW4o6 struct {
	LwAFTR     string       `json:"lwaftr"`
	IPv6       netip.Prefix `json:"ipv6"`
	IPv4       netip.Addr   `json:"ipv4"`
	PSID       int          `json:"psid"`
	PSIDLength int          `json:"psid_length"`
	PSIDOffset int          `json:"psid_offset"`
}

// DSLite is the dslite of a reply. The AFTR is an address or a name.
type DSLite struct {
	AFTR string `json:"aftr"`
}

// IPIP is an entry of the ipip of a reply. IPv4 is an address of the customer, with the length of its block.
type IPIP struct {
	Local  netip.Addr   `json:"ipv6_local"`
	Remote netip.Addr   `json:"ipv6_remote"`
	IPv4   netip.Prefix `json:"ipv4"`
}

func (r *Reply) mapE() (all []offer.Mechanism) {
	if m := r.MAPE; m != nil {
		all = append(all, offer.Mechanism{Mode: softwire.MAPE, Rules: m.Softwire(), InterfaceID: m.InterfaceID(), Mesh: m.Mesh})
	}
	return all
}

func (r *Reply) mapT() (all []offer.Mechanism) {
	if m := r.MAPT; m != nil {
		all = append(all, offer.Mechanism{Mode: softwire.MAPT, Rules: m.softwire(), InterfaceID: softwire.RFC7597})
	}
	return all
}

func (m *MAPT) softwire() []softwire.Rule { return softwires(m.Rules, softwire.Rule{DMR: m.DMR}) }

func parseMAPT(data []byte) (*MAPT, error) {
	f := object("map_t.", data)
	m := &MAPT{DMR: f.needPrefix("dmr", "2001:db8:ffff::/64"), Rules: f.rules()}
	if f.err == nil {
		f.err = checkRules("map_t", m.softwire())
	}
	return m, f.err
}

func (r *Reply) lw4o6() (all []offer.Mechanism) {
	if l := r.LW4o6; l != nil {
		all = append(all, l.mechanism())
	}
	return all
}

func (l *LW4o6) mechanism() offer.Mechanism {
	ports := softwire.Ports{PSID: uint16(l.PSID), PSIDLen: l.PSIDLength, PSIDOffset: l.PSIDOffset}
	return offer.Mechanism{Mode: softwire.LW4o6, FarEnd: l.LwAFTR, Binding: softwire.Binding{IPv4: l.IPv4, Ports: ports, Prefix: l.IPv6}}
}

func parseLW4o6(data []byte) (*LW4o6, error) {
	f := object("lw4o6.", data)
	l := &LW4o6{
		LwAFTR:     f.needText("lwaftr", "the name or the IPv6 address of the lwAFTR"),
		IPv6:       f.needPrefix("ipv6", "2001:db8:12:3400::/56"),
		IPv4:       f.needAddress("ipv4", "192.0.2.18"),
		PSID:       f.optionalNumber("psid", 0xffff),
		PSIDLength: f.optionalNumber("psid_length", 16),
		PSIDOffset: f.optionalNumber("psid_offset", 15), // RFC 7596 section 5.1: 0 unless it is given.
	}
	if f.err == nil {
		f.checkMechanism(l.mechanism())
		f.check("ipv4", checkPublic(netip.PrefixFrom(l.IPv4, 32)))
	}
	return l, f.err
}

func (r *Reply) dsLite() (all []offer.Mechanism) {
	if r.DSLite != nil {
		all = append(all, r.DSLite.mechanism())
	}
	return all
}

func parseDSLite(data []byte) (*DSLite, error) {
	f := object("dslite.", data)
	d := &DSLite{AFTR: f.needText("aftr", "the name or the IPv6 address of the AFTR")}
	f.checkMechanism(d.mechanism())
	return d, f.err
}

func (d *DSLite) mechanism() offer.Mechanism {
	return offer.Mechanism{Mode: softwire.DSLite, FarEnd: d.AFTR}
}

// checkMechanism fails for the first error of a mechanism.
func (f *fields) checkMechanism(m offer.Mechanism) {
	if err := m.Check(); err != nil && f.err == nil {
		f.err = fmt.Errorf("%s: %w", strings.TrimSuffix(f.path, "."), first(err))
	}
}

func (r *Reply) ipip() (all []offer.Mechanism) {
	for _, i := range r.IPIP {
		all = append(all, i.mechanism())
	}
	return all
}

func (i IPIP) mechanism() offer.Mechanism {
	return offer.Mechanism{Mode: softwire.IPIP, FarEnd: i.Remote.String(), Fixed: softwire.Fixed{IPv4: i.IPv4, CE: i.Local}}
}

func parseIPIP(data []byte) ([]IPIP, error) {
	const most = 64
	all := []IPIP{} // It may be empty.
	f := &fields{raw: map[string]json.RawMessage{"ipip": data}}
	for n, raw := range f.list("ipip", most, "a list of fixed IPv4 addresses") {
		inner := object(fmt.Sprintf("ipip[%d].", n), raw)
		i := IPIP{
			Local:  inner.needAddress("ipv6_local", "2001:db8:12:3400::1"),
			Remote: inner.needAddress("ipv6_remote", "2001:db8:ffff::1"),
			IPv4:   inner.needPrefix("ipv4", "192.0.2.18/32"),
		}
		if inner.err == nil {
			inner.checkMechanism(i.mechanism())
			inner.check("ipv4", checkPublic(i.IPv4))
		}
		if all = append(all, i); inner.err != nil {
			return nil, inner.err
		}
	}
	return all, f.err
}
