package reconcile

import (
	"context"
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
	return slices.DeleteFunc(slices.Clone(all), func(r Resource) bool { return r.Traits().Stage != Files })
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

// A bygone is the CE address that networkd was told of last, while the gateway
// has another. networkd adds it again after a carrier loss (measured on 252),
// and nobody would take it away. What is there in any other form is somebody
// else's.
type bygone struct{ Address }

// Text is empty: it is to be absent.
func (bygone) Text() string { return "" }

func (b bygone) Read(ctx context.Context, h *Host) (Resource, error) {
	live, err := b.Address.Read(ctx, h)
	if err != nil {
		return nil, err
	}
	is := live.(Address)
	if is.Detection = b.Detection; is.Text() == b.Address.Text() {
		return is, nil
	}
	return b, nil
}

func (b bygone) Write(ctx context.Context, h *Host) error {
	return Address{Link: b.Link, Prefix: b.Prefix}.Write(ctx, h)
}

// bygoneOf lists what networkd remembers of the gateway that was made, when it
// is not told of the one that is wanted: the first address since it was told.
func bygoneOf(made, want []Resource) (all []Resource) {
	wanted := map[string]bool{}
	for _, r := range want {
		wanted[r.Name()] = r.Text() != ""
	}
	for _, r := range made {
		switch r := r.(type) {
		case bygone:
			all = []Resource{r}
		case Address:
			if r.Present && !r.Foreign && len(all) == 0 {
				all = []Resource{bygone{r}}
			}
		}
	}
	return slices.DeleteFunc(all, func(r Resource) bool { return wanted[r.Name()] })
}
