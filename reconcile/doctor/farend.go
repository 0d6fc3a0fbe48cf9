package doctor

import (
	"fmt"

	"mape-netplan/reconcile/discovery"
)

// farEnd: do the line's resolvers have the name of the far end?
func (d *diagnosis) farEnd() Finding {
	name := discovery.Fold(d.line.FarEnd)
	n, asked := d.f.FarEnds[name]
	switch {
	case name == "":
		return skipped("no name of one is looked up")
	case !asked:
		return bad(name+" has not been looked up yet", fmt.Sprintf("The section is right, and nothing has asked the line's resolvers for %s yet.", name), d.restore())
	case n.Problem == "":
		return good("%s is %s, as %s says", name, n.Address, n.Server.Addr())
	}
	advice := fmt.Sprintf(`Look whether the resolver answers at all: "resolvectl query -i %s %s". It is asked again by itself.`, d.wan, name)
	if n.Absent {
		advice = fmt.Sprintf("Compare %s with the provider's papers. Many such names are known on that provider's own lines only: if it is right, ask the provider whether this line is switched to DS-Lite.", name)
	}
	if n.Address.IsValid() {
		return warning(fmt.Sprintf("%s is not found any more, and was %s", name, n.Address), d.sentence(n.Problem)+fmt.Sprintf(" Its last address, %s, stays in use.", n.Address), advice)
	}
	return bad(name+" is not found", d.sentence(n.Problem), advice)
}
