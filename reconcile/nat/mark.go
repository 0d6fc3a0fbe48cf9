package nat

import (
	"errors"
	"slices"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// Mark is the comment of a table that this program made.
const Mark = "written by mape-netplan"

// ErrForeign is the error for a table of the same name that another program made.
var ErrForeign = errors.New("was not written by mape-netplan (its comment does not say so); have the program that made it use another name, or run \"nft delete table ip " + Name + "\"")

// Read returns the live table, or ErrForeign.
func Read(c *nft.Conn) (nft.Table, error) { return own(nft.Read(c, Name)) }

// ReadRules is Read without the elements of sets, but those of forwards.
func ReadRules(c *nft.Conn) (nft.Table, error) {
	return own(nft.ReadRules(c, Name, append(forwardMaps(), sourcesSet)...))
}

func own(t nft.Table, err error) (nft.Table, error) {
	if err == nil && t.Comment != Mark && t.Text() != "" && !earlier(t) {
		return nft.Table{Name: Name}, ErrForeign
	}
	return t, err
}

// Names reports whether a table of ours is about a link: drops what leaves by it, as a guard does, or else accepts what leaves
// by others, as the NAT of a tunnel does.
func Names(t nft.Table, link string) bool {
	drops, others := nft.NewRule(nft.Is(nft.OIfName, kernel.IfName(link)), nft.Drop), nft.NewRule(nft.Not(nft.OIfName, kernel.IfName(link)), nft.Accept)
	return slices.ContainsFunc(t.Chains, func(c nft.Chain) bool {
		return slices.ContainsFunc(c.Rules, func(r nft.Rule) bool { return r.Same(drops) || r.Same(others) })
	})
}

// earlier reports whether a table is one of a release that made none with a comment: it has the two chains that each of
// these had, and no base chain but those of such a table, nor flags.
func earlier(t nft.Table) bool {
	forwards := []schema.Forward{{Ports: []schema.PortRange{{First: 1024, Last: 1024}}}}
	c := Config{
		NAT:     schema.NAT{Inbound: "accept", Forwards: forwards},
		Address: SpecialPurpose[0], Ports: []softwire.PortRange{{First: 1024, Last: 1039}, {First: 2048, Last: 2063}},
	}
	known, found := Table(c, c.Pool()).Chains, 0
	for _, c := range t.Chains {
		if c.Type == "" {
			continue
		}
		if !slices.ContainsFunc(known, c.SameHook) {
			return false
		}
		if c.Name == "prerouting" || c.Name == "postrouting" {
			found++
		}
	}
	return t.Comment == "" && len(t.Foreign) == 0 && found == 2
}
