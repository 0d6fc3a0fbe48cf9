package nft

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// A Ruleset is what other programs have in nf_tables that packets of IPv4, or IPv6 packets of this machine's own, can
// meet. It is read for an opinion and never written: what nobody here can decide about a rule is kept as a step that
// nobody can decide.
type Ruleset struct {
	Chains     []ForeignChain `json:"chains,omitempty"`
	Flowtables []Flowtable    `json:"flowtables,omitempty"`
}

// A ForeignChain is a base chain, or with Type "" one that rules of its table go to.
type ForeignChain struct {
	Family   string        `json:"family"` // ip, ip6 or inet
	Table    string        `json:"table"`
	Name     string        `json:"name"`
	Type     string        `json:"type,omitempty"`
	Hook     string        `json:"hook,omitempty"`
	Priority int32         `json:"priority,omitempty"`
	Drop     bool          `json:"drop,omitempty"` // the policy
	Rules    []ForeignRule `json:"rules,omitempty"`
}

// A ForeignRule is what the kernel does one after the other until a test fails.
type ForeignRule struct {
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

// ReadRuleset reads every table but ip own, as far as the base chains that want chooses lead.
func ReadRuleset(c *Conn, own string, want func(ForeignChain) bool) (Ruleset, error) {
	rs, err := c.readRuleset(own, want)
	if err != nil {
		return Ruleset{}, fmt.Errorf("reading nftables: %w", explain(err))
	}
	return rs, nil
}

func (c *Conn) readRuleset(own string, want func(ForeignChain) bool) (Ruleset, error) {
	x, err := c.exchange()
	if err != nil {
		return Ruleset{}, err
	}
	defer x.close()
	r := survey{exchange: x, of: c, own: own, want: want}
	defer func() { r.sets.close() }()
	for range 5 {
		before, err := r.generation()
		if err != nil {
			return Ruleset{}, err
		}
		readErr := r.read()
		after, err := r.generation()
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
	*exchange
	sets *exchange // for questions about sets, between the rules of a chain; nil until there is one
	of   *Conn
	own  string
	want func(ForeignChain) bool

	asks int // for elements of sets
	slabs
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
	*r = survey{exchange: r.exchange, sets: r.sets, of: r.of, own: r.own, want: r.want}
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
			i := slices.IndexFunc(all, func(t ForeignChain) bool { return t.Family == c.Family && t.Table == c.Table && t.Name == name })
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
func (c ForeignChain) targets() []string {
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
	err := r.dump(unix.NFT_MSG_GETTABLE, unix.NFPROTO_UNSPEC, func(family uint8, a attrs) error {
		if a.get(unix.NFTA_TABLE_FLAGS).number()&unix.NFT_TABLE_F_DORMANT != 0 {
			all[tableKey{families[family], a.get(unix.NFTA_TABLE_NAME).text()}] = true
		}
		return nil
	})
	return all, err
}

// chains lists them without their rules. Those of dormant tables are left out, and those at a hook that is none of
// hookNames: an inet chain at ingress, which only netdev knew before, meets the packets of one interface, and of the
// WAN's these are the tunnel's outer ones.
func (r *survey) chains(dormant map[tableKey]bool) ([]ForeignChain, error) {
	var all []ForeignChain
	err := r.dump(unix.NFT_MSG_GETCHAIN, unix.NFPROTO_UNSPEC, func(family uint8, a attrs) error {
		c := ForeignChain{Family: families[family]}
		known := c.Family != ""
		a.each(func(n uint16, b attrs) {
			switch n {
			case unix.NFTA_CHAIN_TABLE:
				c.Table = b.text()
			case unix.NFTA_CHAIN_NAME:
				c.Name = b.text()
			case unix.NFTA_CHAIN_TYPE:
				c.Type = b.text()
			case unix.NFTA_CHAIN_POLICY:
				c.Drop = b.number() == 0
			case unix.NFTA_CHAIN_HOOK:
				hook := b.get(unix.NFTA_HOOK_HOOKNUM).number()
				if known = known && hook < uint64(len(hookNames)); known {
					c.Hook, c.Priority = hookNames[hook], int32(b.get(unix.NFTA_HOOK_PRIORITY).number())
				}
			}
		})
		if known && !dormant[tableKey{c.Family, c.Table}] && !(c.Family == "ip" && c.Table == r.own) {
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

func (r *survey) flowtables() error {
	return r.dump(nftMsgGetFlowtable, unix.NFPROTO_UNSPEC, func(family uint8, a attrs) error {
		f := Flowtable{Family: families[family], Table: a.get(1).text(), Name: a.get(2).text()}
		const hook, devices, wildcard = 3, 3, 2
		a.get(hook).get(devices).each(func(n uint16, b attrs) {
			name := b.text()
			if n == wildcard {
				name += "*"
			}
			f.Devices = append(f.Devices, name)
		})
		if f.Family != "" {
			r.Flowtables = append(r.Flowtables, f)
		}
		return nil
	})
}
