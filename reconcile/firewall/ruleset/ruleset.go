// Package ruleset reads what the other programs on the machine have in nf_tables.
package ruleset

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
)

// A Ruleset is what other programs have in nf_tables that packets of IPv4, or IPv6 packets of this machine's own, can
// meet. It is read for an opinion and never written: what nobody here can decide about a rule is kept as a step that
// nobody can decide.
type Ruleset struct {
	Chains     []Chain     `json:"chains,omitempty"`
	Flowtables []Flowtable `json:"flowtables,omitempty"`
}

// A Chain is a base chain, or with Type "" one that rules of its table go to.
type Chain struct {
	Family   string `json:"family"` // ip, ip6 or inet
	Table    string `json:"table"`
	Name     string `json:"name"`
	Type     string `json:"type,omitempty"`
	Hook     string `json:"hook,omitempty"`
	Priority int32  `json:"priority,omitempty"`
	Drop     bool   `json:"drop,omitempty"` // the policy
	Rules    []Rule `json:"rules,omitempty"`
}

// A Rule is what the kernel does one after the other until a test fails.
type Rule struct {
	Handle uint64 `json:"handle"`
	Steps  []Step `json:"steps,omitempty"`
}

// A Step is a test, or does something.
type Step struct {
	// Do is "" for a test, DoLookup for a verdict map, else what is done.
	Do string `json:"do,omitempty"`
	// To is the chain or the flowtable that it is done with.
	To string `json:"to,omitempty"`
	// Fields are what a test looks at. It passes when each lies in its interval in one of Any; with Not, when in none.
	Fields []string `json:"fields,omitempty"`
	Any    []Case   `json:"any,omitempty"`
	Not    bool     `json:"not,omitempty"`
	// Unknown says that the test depends on more than this.
	Unknown bool `json:"unknown,omitempty"`
}

// What a step does. Anything that neither ends a rule nor matters here is left out.
const (
	DoLookup     = "vmap"
	DoAccept     = "accept"
	DoDrop       = "drop"
	DoReject     = "reject"
	DoReturn     = "return"
	DoJump       = "jump"
	DoGoto       = "goto"
	DoMasquerade = "masquerade"
	DoSNAT       = "snat"
	DoDNAT       = "dnat"
	DoNoTrack    = "notrack"
	DoFlow       = "flow add"
)

// A Case is an interval for each field and, in a verdict map, what is done there.
type Case struct {
	Intervals []Interval `json:"in"`
	Do        string     `json:"do,omitempty"`
	To        string     `json:"to,omitempty"`
}

// An Interval has both ends in it, each as long as the field, in the order in which the kernel compares.
type Interval struct {
	From []byte `json:"from"`
	To   []byte `json:"to"`
}

// A Flowtable takes packets of connections that were added to it from these interfaces past all chains.
type Flowtable struct {
	Family  string   `json:"family"`
	Table   string   `json:"table"`
	Name    string   `json:"name"`
	Devices []string `json:"devices,omitempty"` // "eth*" is every one that begins so
}

// Read reads every table but ip own, as far as the base chains that want chooses lead.
func Read(c *nft.Conn, own string, want func(Chain) bool) (Ruleset, error) {
	rs, err := read(c, own, want)
	if err != nil {
		return Ruleset{}, fmt.Errorf("reading nftables: %w", nft.Explain(err))
	}
	return rs, nil
}

func read(c *nft.Conn, own string, want func(Chain) bool) (rs Ruleset, err error) {
	r := survey{own: own, want: want}
	if r.Exchange, err = c.Exchange(); err != nil {
		return rs, err
	}
	defer r.Close()
	if r.sets, err = c.Exchange(); err != nil {
		return rs, err
	}
	defer r.sets.Close()
	for range 5 {
		before, err := r.Generation()
		if err != nil {
			return rs, err
		}
		readErr := r.read()
		after, err := r.Generation()
		if err != nil || before == after {
			return r.Ruleset, errors.Join(readErr, err)
		}
	}
	// Something changes rules all the time. Nothing is decided by a warning, so a mixture of two rulesets will do.
	return r.Ruleset, nil
}

// A survey is one reading of the foreign tables.
type survey struct {
	Ruleset
	nft.Exchange
	sets nft.Exchange // for questions about sets, between the rules of a chain
	own  string
	want func(Chain) bool

	asks int // for elements of sets
}

var families = map[uint8]string{unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_INET: "inet"}

func familyNumber(name string) uint8 {
	for n, f := range families {
		if f == name {
			return n
		}
	}
	return unix.NFPROTO_UNSPEC
}

func (r *survey) read() error {
	*r = survey{Exchange: r.Exchange, sets: r.sets, own: r.own, want: r.want}
	dormant, err := r.dormant()
	if err != nil {
		return err
	}
	all, err := r.chains(dormant)
	if err != nil {
		return err
	}
	// From the base chains on: what they do not lead to does nothing.
	reached := map[int]bool{}
	var queue []int
	for i, c := range all {
		if c.Type != "" && r.want(c) {
			reached[i], queue = true, append(queue, i)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		c := &all[queue[0]]
		if c.Rules, err = r.rules(*c); err != nil {
			return err
		}
		for _, name := range c.targets() {
			i := slices.IndexFunc(all, func(t Chain) bool { return t.Family == c.Family && t.Table == c.Table && t.Name == name })
			if i >= 0 && !reached[i] {
				reached[i], queue = true, append(queue, i)
			}
		}
	}
	for i, c := range all {
		if reached[i] {
			r.Chains = append(r.Chains, c)
		}
	}
	return r.flowtables()
}

// targets lists the chains that a chain's rules go to.
func (c Chain) targets() []string {
	var names []string
	add := func(do, to string) {
		if (do == DoJump || do == DoGoto) && !slices.Contains(names, to) {
			names = append(names, to)
		}
	}
	for _, rule := range c.Rules {
		for _, s := range rule.Steps {
			add(s.Do, s.To)
			for _, a := range s.Any {
				add(a.Do, a.To)
			}
		}
	}
	return names
}

// A tableKey names a table.
type tableKey struct{ family, name string }

// dormant lists the tables whose chains are at no hook until they are woken.
func (r *survey) dormant() (map[tableKey]bool, error) {
	all := map[tableKey]bool{}
	for a, err := range r.Ask(unix.NFT_MSG_GETTABLE, netlink.Dump, unix.NFPROTO_UNSPEC) {
		if err != nil {
			return nil, err
		}
		if a.Get(unix.NFTA_TABLE_FLAGS).Number()&unix.NFT_TABLE_F_DORMANT != 0 {
			all[tableKey{families[a.Family], a.Get(unix.NFTA_TABLE_NAME).Text()}] = true
		}
	}
	return all, nil
}

// chains lists them without their rules. Those of dormant tables are left out, and those at a hook that is none of
// nft.HookNames: an inet chain at ingress, which only netdev knew before, meets the packets of one interface, and of the
// WAN's these are the tunnel's outer ones.
func (r *survey) chains(dormant map[tableKey]bool) ([]Chain, error) {
	var all []Chain
	for a, err := range r.Ask(unix.NFT_MSG_GETCHAIN, netlink.Dump, unix.NFPROTO_UNSPEC) {
		if err != nil {
			return nil, err
		}
		c := Chain{Family: families[a.Family]}
		known := c.Family != ""
		for kind, value := range a.Attributes() {
			switch kind {
			case unix.NFTA_CHAIN_TABLE:
				c.Table = value.Text()
			case unix.NFTA_CHAIN_NAME:
				c.Name = value.Text()
			case unix.NFTA_CHAIN_TYPE:
				c.Type = value.Text()
			case unix.NFTA_CHAIN_POLICY:
				c.Drop = value.Number() == 0
			case unix.NFTA_CHAIN_HOOK:
				hook := value.Get(unix.NFTA_HOOK_HOOKNUM).Number()
				if known = known && hook < uint64(len(nft.HookNames)); known {
					c.Hook, c.Priority = nft.HookNames[hook], int32(value.Get(unix.NFTA_HOOK_PRIORITY).Number())
				}
			}
		}
		if known && !dormant[tableKey{c.Family, c.Table}] && !(c.Family == "ip" && c.Table == r.own) {
			all = append(all, c)
		}
	}
	return all, nil
}

func (r *survey) flowtables() error {
	for a, err := range r.Ask(unix.NFT_MSG_GETFLOWTABLE, netlink.Dump, unix.NFPROTO_UNSPEC) {
		if err != nil {
			return err
		}
		f := Flowtable{Family: families[a.Family], Table: a.Get(nftables.NFTA_FLOWTABLE_TABLE).Text(), Name: a.Get(nftables.NFTA_FLOWTABLE_NAME).Text()}
		const wildcard = 2 // NFTA_DEVICE_PREFIX
		for kind, value := range a.Get(nftables.NFTA_FLOWTABLE_HOOK).Get(nftables.NFTA_FLOWTABLE_DEVS).Attributes() {
			name := value.Text()
			if kind == wildcard {
				name += "*"
			}
			f.Devices = append(f.Devices, name)
		}
		if f.Family != "" {
			r.Flowtables = append(r.Flowtables, f)
		}
	}
	return nil
}
