package nft

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Write replaces the kernel's table by this one in a single transaction, and deletes it when this one is absent.
func (t Table) Write(c *Conn) error {
	if t.Name == "" {
		return errors.New("writing nftables: a table without a name")
	}
	if err := t.writable(); err != nil {
		return fmt.Errorf("writing nftables: table ip %s: %w", t.Name, err)
	}
	conn, err := nftables.New(nftables.WithNetNSFd(c.netns))
	if err == nil {
		err = t.replace(conn)
	}
	if err != nil {
		return fmt.Errorf("writing nftables: table ip %s: %w", t.Name, explain(err))
	}
	return nil
}

// writable says why a table that was read cannot be written back as it was.
func (t Table) writable() error {
	const not = "cannot be written: "
	if len(t.Foreign) > 0 {
		return errors.New(not + t.Foreign[0])
	}
	for _, s := range t.Sets {
		if s.Foreign != "" {
			return errors.New(not + "set " + s.Name + " has " + s.Foreign)
		}
		for _, e := range s.Elements {
			if e.Foreign != "" {
				return errors.New(not + "set " + s.Name + " has an element with " + e.Foreign)
			}
		}
	}
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			for _, e := range r {
				if u, ok := e.(unknown); ok {
					return errors.New(not + "chain " + c.Name + " has an expression " + u.name)
				}
			}
		}
	}
	return nil
}

func (t Table) replace(conn *nftables.Conn) error {
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: t.Name}
	// Adding first makes the deletion safe where there is nothing to delete.
	conn.AddTable(table)
	conn.DelTable(table)
	if t.absent() {
		return conn.Flush()
	}
	conn.AddTable(table)
	ids := map[string]uint32{}
	for _, s := range t.Sets {
		id, err := s.add(conn, table)
		if err != nil {
			return err
		}
		ids[s.Name] = id
	}
	t.addChains(conn, table, ids)
	return conn.Flush()
}

func (s Set) add(conn *nftables.Conn, table *nftables.Table) (uint32, error) {
	set := &nftables.Set{
		Table: table, Name: s.Name, KeyType: s.Key, DataType: s.Value, IsMap: s.Value != nftables.SetDatatype{},
		// With the size the kernel picks its hash table of fixed size, the fastest it has for two-byte keys.
		Size: uint32(max(len(s.Elements), 1)),
	}
	var elements []nftables.SetElement
	for _, e := range s.Elements {
		elements = append(elements, nftables.SetElement{Key: e.Key, Val: e.Value})
	}
	err := conn.AddSet(set, elements)
	return set.ID, err
}

func (t Table) addChains(conn *nftables.Conn, table *nftables.Table, ids map[string]uint32) {
	chains := map[string]*nftables.Chain{}
	for _, c := range t.Chains {
		chain := &nftables.Chain{Table: table, Name: c.Name}
		if c.Type != "" {
			policy := nftables.ChainPolicyAccept
			if c.Drop {
				policy = nftables.ChainPolicyDrop
			}
			chain.Type, chain.Hooknum, chain.Policy = c.Type, &c.Hook, &policy
			chain.Priority = nftables.ChainPriorityRef(nftables.ChainPriority(c.Priority))
		}
		chains[c.Name] = conn.AddChain(chain)
	}
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			conn.AddRule(&nftables.Rule{Table: table, Chain: chains[c.Name], Exprs: withIDs(r, ids)})
		}
	}
}

// withIDs names sets by what they are called inside the transaction: a name alone may still mean the old one.
func withIDs(r Rule, ids map[string]uint32) Rule {
	out := append(Rule{}, r...)
	for i, e := range out {
		if l, ok := e.(*expr.Lookup); ok {
			l := *l
			l.SetID = ids[l.SetName]
			out[i] = &l
		}
	}
	return out
}
