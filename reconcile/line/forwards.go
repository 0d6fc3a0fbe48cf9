package line

import (
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// MaxForwards is how many entries of a map all forwards together may take for each protocol: one for each port that gets
// another number, and one for each range that keeps its own.
const MaxForwards = 4096

// entries is how many of them a forward takes.
func entries(f schema.Forward) (n int) {
	for _, r := range f.Ports {
		if n++; f.To.Port() != 0 {
			n += int(r.Last - r.First)
		}
	}
	return n
}

// checkOwnAddress refuses a forward to the shared address itself, which no interface has: what went there would be
// routed back into the tunnel.
func checkOwnAddress(c *schema.Config, i int, sw softwire.Softwire) schema.Problems {
	to := c.Forwards[i].To.Addr()
	if !sw.Inner.IsSingleIP() || to != sw.Inner.Addr() {
		return nil
	}
	return schema.Problems{c.Problem(fmt.Sprintf("forwards[%d].to", i),
		"%s is the shared address of the line itself; write the address of a host of the LAN, or the gateway's own there", to)}
}

// SplitForwards returns the forwards that work with a softwire, in order, and the problems of the others: a port that is
// not in the set, with the nearest that are, the shared address as the target, or more than MaxForwards.
func SplitForwards(c *schema.Config, sw softwire.Softwire) (on []schema.Forward, off schema.Problems) {
	if why := sw.Unforwardable(); why != "" {
		for i := range c.Forwards {
			off = append(off, c.Problem(fmt.Sprintf("forwards[%d]", i), "%s", why))
		}
		return nil, off
	}
	taken := map[uint16]schema.PortRange{}
	for _, f := range c.Forwards {
		for _, r := range f.Ports {
			for p := int(r.First); p <= int(r.Last); p++ {
				taken[uint16(p)] = r
			}
		}
	}
	total := 0
	for i, f := range c.Forwards {
		before := len(off)
		if total += entries(f); total > MaxForwards {
			off = append(off, c.Problem(fmt.Sprintf("forwards[%d].to", i), "with it the forwards have %d entries, of %d at most: one for each port that gets another number, "+
				"and one for each range that keeps its numbers, as it does without a port here", total, MaxForwards))
			total -= entries(f)
		}
		off = append(off, checkOwnAddress(c, i, sw)...)
		for j, r := range f.Ports {
			outside, ok := firstOutside(sw, r)
			if !ok {
				continue
			}
			is := fmt.Sprintf("%d is not in the port set of %s", outside, sw.Inner.Addr())
			if r.Last > r.First {
				is = fmt.Sprintf("%d-%d is not all in the port set of %s: %d is not", r.First, r.Last, sw.Inner.Addr(), outside)
			}
			path := fmt.Sprintf("forwards[%d].port", i)
			if len(f.Ports) > 1 {
				path += fmt.Sprintf("[%d]", j)
			}
			off = append(off, c.Problem(path, "%s; the nearest free ones: %s", is, nearest(sw, outside, func(p uint16) bool {
				by, ok := taken[p]
				return ok && by != r
			})))
		}
		if len(off) == before {
			on = append(on, f)
		}
	}
	return on, off
}

func firstOutside(sw softwire.Softwire, r schema.PortRange) (uint16, bool) {
	for p := int(r.First); p <= int(r.Last); p++ {
		if !sw.Ports.Has(uint16(p)) {
			return uint16(p), true
		}
	}
	return 0, false
}

// nearest lists the ports of the set that are nearest to one, in ascending order, without those that are taken.
func nearest(sw softwire.Softwire, to uint16, taken func(uint16) bool) string {
	const enough = 4
	var found []int
	for d := 1; d < 1<<16 && len(found) < enough; d++ {
		for _, p := range []int{int(to) - d, int(to) + d} {
			if p > 0 && p < 1<<16 && sw.Ports.Has(uint16(p)) && !taken(uint16(p)) && len(found) < enough {
				found = append(found, p)
			}
		}
	}
	slices.Sort(found)
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(found), " ", ", "), "[]")
}
