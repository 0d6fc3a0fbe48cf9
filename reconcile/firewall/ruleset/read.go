package ruleset

import (
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
)

// rules reads a chain's.
func (r *survey) rules(c Chain) ([]Rule, error) {
	var rules []Rule
	d := &tracer{survey: r, chain: c}
	for a, err := range r.Ask(unix.NFT_MSG_GETRULE, netlink.Dump, familyNumber(c.Family), c.Table, c.Name) {
		if err != nil {
			return nil, err
		}
		if d.err != nil {
			continue // The rest has to be read before another dump can be asked for.
		}
		d.steps, d.regs = d.steps[:0], [16]operands{}
		for _, e := range a.Get(unix.NFTA_RULE_EXPRESSIONS).Attributes() {
			d.expression(e.Get(unix.NFTA_EXPR_NAME), e.Get(unix.NFTA_EXPR_DATA))
		}
		if d.matters() {
			rules = append(rules, Rule{Handle: a.Get(unix.NFTA_RULE_HANDLE).Number(), Steps: slices.Clone(d.steps)})
		}
	}
	return rules, d.err
}

// Read reads every table but ip own: the base chains that want chooses, and the chains that can be reached from them.
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
	// Where rules change all the time a mixture of two rulesets will do: nothing but warnings depend on it.
	_, err = r.Consistent(5, r.read)
	return r.Ruleset, err
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
	// Chains that cannot be reached from a base chain do nothing.
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
