package reconcile

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"mape-netplan/schema"
)

// Asking lists what has networkd ask for the prefix that a section wants
// delegated. It is part of what Compile lists, and is needed before that can
// be: without the prefix there is no gateway to compile.
func Asking(c *schema.Config, l Line, f Facts) ([]Resource, error) {
	if c.WANPrefix != "pd" {
		return nil, nil
	}
	if l.NoWAN != nil {
		return nil, l.NoWAN
	}
	wan := l.WAN
	p := Persist{Link: wan.Name, Ask: true}
	// The file of an earlier run stays the same until the line is known.
	if i := slices.IndexFunc(f.Owned.Addresses, func(a OwnedAddress) bool { return a.Link == wan.Name }); i >= 0 {
		p.CE = netip.PrefixFrom(f.Owned.Addresses[i].Prefix.Addr(), 128)
	}
	if err := p.find(usesNetplan(c, f), f); err != nil {
		return nil, err
	}
	p.identify(f)
	path, text := p.dropIn()
	if text == "" {
		return nil, nil
	}
	all := []Resource{File{path, publicMode, text}}
	if f.Networkd {
		all = append(all, p.managed(path, text))
	}
	return all, nil
}

// A Request is how a file of ours asks for a delegation.
type Request struct {
	File string `json:"file"`
	// KeepsDUID says that the file says nothing of the DUID.
	KeepsDUID bool `json:"keeps_duid,omitempty"`
}

// identify decides by which DUID a link asks, once: a server that has one prefix
// gives it to nobody else while a lease lasts. So the DUID stays by which
// networkd has come to a delegation without us, as it does where the router
// advertisement has the M flag: up to version 252 networkd does not release
// what it has when it takes another, and the server (measured: Kea) answers
// NoPrefixAvail to that one until the lease ends. The file that asks is the
// memory of this.
//
// A file that is lost, or was taken back a moment ago, is no reason to think
// that what is there came without us: networkd's client has our DUID then.
func (p *Persist) identify(f Facts) {
	if !p.Ask {
		return
	}
	file, _ := p.dropIn()
	if i := slices.IndexFunc(f.Owned.Requests, func(r Request) bool { return r.File == file }); i >= 0 {
		p.KeepsDUID = f.Owned.Requests[i].KeepsDUID
		return
	}
	link, _ := f.Link(p.Link)
	if link.DUIDType != "" && f.cameBy(p.Link) {
		p.KeepsDUID = link.DUIDType != linkLayer
		return
	}
	// The link may have had another .network file when ours was made. Without
	// that, and where the DUID is not known, ours is the safer one: should it be
	// the wrong one, the prefix comes when the lease ends, while to a DUID of
	// another type an NTT server would never answer, and the file that we write
	// now would keep it for good.
	if i := slices.IndexFunc(f.Owned.Requests, func(r Request) bool { return len(f.configuredBy(r.File)) == 0 }); i >= 0 {
		p.KeepsDUID = f.Owned.Requests[i].KeepsDUID
	}
}

// cameBy says whether a delegation came by a link. One of which that is not
// known did not where another line is there that it may have come by.
func (f Facts) cameBy(link string) bool {
	another := slices.ContainsFunc(f.Links, func(l Link) bool { return l.Name != link && l.Default6 != nil })
	return slices.ContainsFunc(f.Delegations, func(d Delegation) bool { return d.Link == link || d.Link == "" && !another })
}

// Ask has networkd ask for the prefix that the section wants, if it does not
// yet; Unask takes that back.
func (r *Run) Ask(ctx context.Context, c *schema.Config, l Line, f Facts) error {
	want, err := Asking(c, l, f)
	if errors.Is(err, ErrNotYet) {
		return nil // On which link is not known yet.
	}
	if err != nil {
		return err
	}
	changes, err := Plan(ctx, r.Host, want)
	if err != nil {
		return err
	}
	if len(changes) > 0 && len(f.Delegations) == 0 {
		// networkd may have come to one since the machine was looked at. Then
		// the next look decides how it is asked for.
		if came, err := r.Host.cameTo(l); came || err != nil {
			return err
		}
	}
	r.asked, err = write(ctx, r.Host, changes, r.asked)
	return err
}

// cameTo says whether the WAN has a delegation now.
func (h *Host) cameTo(l Line) (bool, error) {
	if h.Bus == nil {
		return false, nil
	}
	return h.isDelegated(l.WAN.Index)
}

// Unask takes back what Ask did in this run, and returns what is left.
func (r *Run) Unask() (left []Change, err error) {
	asked := r.asked
	r.asked = nil
	if len(asked) == 0 {
		return nil, nil
	}
	return rollback(r.Host, nil, asked)
}
