package reconcile

import (
	"slices"
	"strings"
)

// renumbers says whether a gateway differs from the one that was made only in
// the ends of its tunnel, as far as files tell.
func renumbers(made, want []Resource) bool {
	from, to := tunnelOf(made), tunnelOf(want)
	if !from.Local.IsValid() || !to.Local.IsValid() || from.Link != to.Link {
		return false
	}
	ends := strings.NewReplacer(from.Local.String(), to.Local.String(), from.Remote.String(), to.Remote.String())
	return ends.Replace(rendering(filesOf(made))) == rendering(filesOf(want))
}

func tunnelOf(all []Resource) (tunnel Tunnel) {
	for _, r := range all {
		if t, ok := r.(Tunnel); ok && t.Local.IsValid() {
			tunnel = t
		}
	}
	return tunnel
}

func filesOf(all []Resource) []Resource {
	return slices.DeleteFunc(slices.Clone(all), func(r Resource) bool { _, ok := r.(File); return !ok })
}

// untold is what is wanted without networkd being told, for a line that was
// renumbered: the kernel has the addresses and the tunnel already, and the
// files are for the next boot. systemd 252 configures the WAN anew when it
// reads that its addresses changed, and has no IPv6 default route until the next
// router advertisement: measured, 0.6 to 1.4 s without the internet.
func untold(want []Resource) (all []Resource) {
	for _, r := range want {
		switch r := r.(type) {
		case Generated:
			r.Told = true
			all = append(all, r)
		case Managed: // It is there already, by a file that is to say something else.
		default:
			all = append(all, r)
		}
	}
	return all
}
