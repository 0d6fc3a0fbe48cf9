package nft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Write replaces the kernel's table by this one in a single transaction, and deletes it when this one is absent.
func (t Table) Write(c *Conn) error {
	if t.Name == "" {
		return errors.New("writing nftables: a table without a name")
	}
	if err := t.writable(); err != nil {
		return fmt.Errorf("writing nftables: table ip %s: %w", t.Name, err)
	}
	if err := t.replace(c); err != nil {
		return fmt.Errorf("writing nftables: table ip %s: %w", t.Name, Explain(err))
	}
	return nil
}

// writable returns why a table that was read cannot be written back as it was.
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

func (t Table) replace(c *Conn) error {
	for range tries {
		live, generation, err := c.outline(t.Name)
		if err != nil {
			return err
		}
		messages, err := t.transaction(live, generation)
		if err == nil && len(messages) > 0 {
			err = c.commit(messages)
		}
		// The kernel refuses a transaction on a ruleset that changed since it was read.
		if !errors.Is(err, unix.ERESTART) {
			return err
		}
	}
	return errBusy
}

// batch puts together the transaction that makes live this table.
//
// Base chains that stay the same are kept and only filled anew. A new chain is hooked in before the transaction is
// committed, in front of the old one: a packet that is just between the two when that happens would meet neither with
// rules, and leave as it is.
func (t Table) batch(conn *nftables.Conn, live Table) error {
	table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: t.Name}
	kept := map[string]bool{}
	switch {
	case t.absent() && live.absent():
		return nil
	case t.absent(), len(live.Foreign) > 0, live.Comment != t.Comment:
		conn.AddTable(table)
		conn.DelTable(table)
	case !live.absent():
		kept = t.clear(conn, table, live)
	}
	if t.absent() {
		return nil
	}
	conn.AddTable(table)
	for _, o := range t.Timeouts {
		if !kept["ct timeout "+o.Name] {
			conn.AddObj(o.object(table))
		}
	}
	ids := map[string]uint32{}
	for _, s := range t.Sets {
		if kept["set "+s.Name] {
			continue
		}
		id, err := s.add(conn, table)
		if err != nil {
			return err
		}
		ids[s.Name] = id
	}
	t.addChains(conn, table, ids, kept)
	return nil
}

// clear empties the table except for what stays, and returns that: base chains as they are; sets that count, which would
// have to begin anew; timeouts, which the kernel would take from living connections.
func (t Table) clear(conn *nftables.Conn, table *nftables.Table, live Table) map[string]bool {
	kept := map[string]bool{}
	conn.FlushTable(table)
	for _, s := range live.Sets {
		if kept["set "+s.Name] = slices.ContainsFunc(t.Sets, s.counts); !kept["set "+s.Name] {
			conn.DelSet(&nftables.Set{Table: table, Name: s.Name})
		}
	}
	for _, o := range live.Timeouts {
		if kept["ct timeout "+o.Name] = slices.ContainsFunc(t.Timeouts, o.equal); !kept["ct timeout "+o.Name] {
			conn.DeleteObject(o.object(table))
		}
	}
	for _, old := range live.Chains {
		kept["chain "+old.Name] = slices.ContainsFunc(t.Chains, func(c Chain) bool { return c.SameHook(old) })
		if !kept["chain "+old.Name] {
			conn.DelChain(&nftables.Chain{Table: table, Name: old.Name})
		}
	}
	return kept
}

// SameHook reports whether both chains are one but for their rules.
func (c Chain) SameHook(d Chain) bool {
	return c.Name == d.Name && c.Type == d.Type && c.Hook == d.Hook && c.Priority == d.Priority && c.Drop == d.Drop
}

// counts reports whether both are the same set of counted connections.
func (s Set) counts(other Set) bool {
	return s.Dynamic && other.Dynamic && s.Name == other.Name && s.Foreign == "" && s.Timeout == other.Timeout && s.Key.Bytes == other.Key.Bytes && s.Key.GetNFTMagic() == other.Key.GetNFTMagic()
}

func (s Set) add(conn *nftables.Conn, table *nftables.Table) (uint32, error) {
	set := &nftables.Set{
		Table: table, Name: s.Name, KeyType: s.Key, DataType: s.Value, IsMap: s.Value != nftables.SetDatatype{},
	}
	if s.Dynamic {
		set.Dynamic, set.Concatenation, set.Size = true, true, dynamicSize
		set.HasTimeout, set.Timeout = s.Timeout > 0, s.Timeout
	}
	var elements []nftables.SetElement
	if s.Ranges {
		set.Interval, elements = true, halves(s.Elements)
	} else if !s.Dynamic {
		// With the size the kernel picks its hash table of fixed size, the fastest it has for two-byte keys.
		set.Size = uint32(max(len(s.Elements), 1))
		for _, e := range s.Elements {
			elements = append(elements, nftables.SetElement{Key: e.Key, Val: e.Value})
		}
	}
	err := conn.AddSet(set, elements)
	return set.ID, err
}

func (t Table) addChains(conn *nftables.Conn, table *nftables.Table, ids map[string]uint32, kept map[string]bool) {
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
		if chains[c.Name] = chain; !kept["chain "+c.Name] {
			conn.AddChain(chain)
		}
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
		switch e := e.(type) {
		case *expr.Lookup:
			l := *e
			l.SetID = ids[l.SetName]
			out[i] = &l
		case *expr.Dynset:
			d := *e
			d.SetID = ids[d.SetName]
			out[i] = &d
		}
	}
	return out
}
