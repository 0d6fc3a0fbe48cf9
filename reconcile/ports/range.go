package ports

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// mostCells is how many ranges are shown one by one: they fit a line of a terminal beside a word.
const mostCells = 64

// cells are the ranges of a port set, as many as can be shown: a long one in parts whose ends are round numbers, many
// short ones together.
func cells(set []softwire.PortRange) (all []RangeUsage) {
	cell := func(first, last int) {
		all = append(all, RangeUsage{First: uint16(first), Last: uint16(last), Used: perProtocol()})
	}
	if len(set) == 1 {
		first, last := int(set[0].First), int(set[0].Last)
		width := 1
		for width*mostCells < last-first+1 {
			width *= 2
		}
		for ; first <= last; first = (first/width + 1) * width {
			cell(first, min((first/width+1)*width-1, last))
		}
		return all
	}
	together := (len(set) + mostCells - 1) / mostCells
	for some := range slices.Chunk(set, together) {
		cell(int(some[0].First), int(some[len(some)-1].Last))
	}
	return all
}

// cell is the range that a port is in; nil for a port outside of the set.
func (u *Usage) cell(port uint16) *RangeUsage {
	i, _ := slices.BinarySearchFunc(u.Ranges, port, func(r RangeUsage, port uint16) int { return cmp.Compare(r.Last, port) })
	if i == len(u.Ranges) || port < u.Ranges[i].First {
		return nil
	}
	return &u.Ranges[i]
}

// Ports writes ports as a section has them: 5184-5187, or [5184-5187, 6000].
func Ports(ranges []schema.PortRange) string {
	if len(ranges) == 1 {
		return ranges[0].String()
	}
	return "[" + strings.Join(strings.Fields(strings.Trim(fmt.Sprint(ranges), "[]")), ", ") + "]"
}

// Suggest names n ports for forwards: of the set, above the system's, not forwarded and without a connection now. It takes
// the lowest run of consecutive ports that begins with an even one; if no run is long enough, the longest ones. idle is
// false if there are not enough ports without a connection, and ports in use are among them.
func (u Usage) Suggest(n int) (ports []schema.PortRange, idle bool, err error) {
	taken := map[uint16]bool{}
	for use := range u.used {
		taken[use.address.Port()] = true
	}
	drawn := u.pool.Ports()
	if n > len(drawn) {
		return nil, false, fmt.Errorf("there are only %d that NAT draws from", len(drawn))
	}
	runs, free := runsOf(drawn, taken)
	if n <= free {
		return choose(runs, n), true, nil
	}
	// A port in use can be forwarded as well: the connections that have it keep it until they end.
	runs, _ = runsOf(drawn, nil)
	return choose(runs, n), false, nil
}

// runsOf joins the consecutive ports that are not taken to runs, and counts the ports.
func runsOf(ports []uint16, taken map[uint16]bool) (runs []schema.PortRange, free int) {
	for _, port := range ports {
		if taken[port] {
			continue
		}
		free++
		if last := len(runs) - 1; last >= 0 && runs[last].Last+1 == port {
			runs[last].Last = port
		} else {
			runs = append(runs, schema.PortRange{First: port, Last: port})
		}
	}
	return runs, free
}

// choose takes n ports of runs that have as many: of one run if possible, and beginning with an even one if possible.
func choose(runs []schema.PortRange, n int) []schema.PortRange {
	for _, step := range []int{2, 1} {
		for _, r := range runs {
			first := (int(r.First) + step - 1) / step * step
			if last := first + n - 1; last <= int(r.Last) {
				return []schema.PortRange{{First: uint16(first), Last: uint16(last)}}
			}
		}
	}
	sort.SliceStable(runs, func(i, j int) bool { return runs[i].Last-runs[i].First > runs[j].Last-runs[j].First })
	var all []schema.PortRange
	for _, r := range runs {
		r.Last = uint16(min(int(r.Last), int(r.First)+n-1))
		all = append(all, r)
		if n -= int(r.Last-r.First) + 1; n == 0 {
			break
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].First < all[j].First })
	return all
}
