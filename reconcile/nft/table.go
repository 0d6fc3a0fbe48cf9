// Package nft holds one nftables table of family ip as a value: it renders itself in the words of nft(8), is read from
// the kernel and replaces what the kernel has in one transaction.
//
// The text comes from the kernel's own expressions, for a table that was built here and for one that was read, so
// Read after Write has the same text, and anything that was added, changed or flushed by hand shows in it.
package nft

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/google/nftables"
)

// A Table is a table of family ip. One with nothing but a name is absent.
type Table struct {
	Name     string
	Comment  string // the kernel keeps that of a table as long as there is one
	Timeouts []Timeout
	Sets     []Set
	Chains   []Chain

	// Foreign holds, one line each, what the kernel's table has beyond what a Table can say: flags, stateful objects,
	// flowtables, or that it is there and empty. Such a table cannot be written.
	Foreign []string
}

// A Chain holds rules. Where Type is "" it is reached from other chains only.
type Chain struct {
	Name     string
	Type     nftables.ChainType
	Hook     nftables.ChainHook
	Priority int32
	Drop     bool // the policy
	Rules    []Rule
}

// Text is the table in nft's syntax, sets and chains in a fixed order. It is "" for an absent table.
func (t Table) Text() string {
	if t.absent() {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "table ip %s {\n", t.Name)
	if t.Comment != "" {
		fmt.Fprintf(&b, "\tcomment %q\n", t.Comment)
	}
	for _, line := range t.Foreign {
		fmt.Fprintf(&b, "\t%s\n", line)
	}
	sep := ""
	for _, o := range sorted(t.Timeouts, func(a, b Timeout) bool { return a.Name < b.Name }) {
		b.WriteString(sep)
		o.write(&b)
		sep = "\n"
	}
	for _, s := range sorted(t.Sets, func(a, b Set) bool { return a.Name < b.Name }) {
		b.WriteString(sep)
		s.write(&b)
		sep = "\n"
	}
	for _, c := range sorted(t.Chains, func(a, b Chain) bool { return a.compare(b) < 0 }) {
		b.WriteString(sep)
		c.write(&b)
		sep = "\n"
	}
	b.WriteString("}\n")
	return b.String()
}

// sorted is a sorted copy. sort.Slice is compiled once, slices.SortedFunc for each type anew: 25 KB of the program for
// each of these.
func sorted[E any](s []E, less func(a, b E) bool) []E {
	s = slices.Clone(s)
	sort.Slice(s, func(i, j int) bool { return less(s[i], s[j]) })
	return s
}

func (t Table) absent() bool { return len(t.Timeouts)+len(t.Sets)+len(t.Chains)+len(t.Foreign) == 0 }

// compare puts base chains first, in the order in which a forwarded packet meets them, then the others by name.
func (c Chain) compare(d Chain) int {
	if (c.Type == "") != (d.Type == "") {
		return cmp.Compare(len(d.Type), len(c.Type))
	}
	return cmp.Or(cmp.Compare(c.Hook, d.Hook), cmp.Compare(c.Priority, d.Priority), cmp.Compare(c.Name, d.Name))
}

func (c Chain) write(b *strings.Builder) {
	fmt.Fprintf(b, "\tchain %s {\n", c.Name)
	if c.Type != "" {
		fmt.Fprintf(b, "\t\ttype %s hook %s priority %d; policy %s;\n", c.Type, hookName(c.Hook), c.Priority, c.policy())
	}
	for _, r := range c.Rules {
		fmt.Fprintf(b, "\t\t%s\n", r)
	}
	b.WriteString("\t}\n")
}

func (c Chain) policy() string {
	if c.Drop {
		return "drop"
	}
	return "accept"
}

// HookNames are in the order of the kernel's numbers.
var HookNames = []string{"prerouting", "input", "forward", "output", "postrouting"}

func hookName(h nftables.ChainHook) string {
	if int(h) < len(HookNames) {
		return HookNames[h]
	}
	return fmt.Sprint(uint32(h))
}
