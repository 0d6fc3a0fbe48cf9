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
func Asking(c *schema.Config, f Facts) ([]Resource, error) {
	if c.WANPrefix != "pd" {
		return nil, nil
	}
	wan, err := wan(c, f)
	if err != nil {
		return nil, err
	}
	p := Persist{Link: wan.Name, Ask: true}
	// The file of an earlier run stays the same until the line is known.
	if i := slices.IndexFunc(f.Owned.Addresses, func(a OwnedAddress) bool { return a.Link == wan.Name }); i >= 0 {
		p.CE = netip.PrefixFrom(f.Owned.Addresses[i].Prefix.Addr(), 128)
	}
	if err := p.find(usesNetplan(c, f), f); err != nil {
		return nil, err
	}
	path, text := p.dropIn()
	if text == "" {
		return nil, nil
	}
	all := []Resource{File{path, publicMode, text}}
	if f.Networkd {
		all = append(all, Managed{p.Link, path, text, true})
	}
	return all, nil
}

// Ask has networkd ask for the prefix that the section wants, if it does not
// yet; Unask takes that back.
func Ask(ctx context.Context, h *Host, c *schema.Config, f Facts) error {
	want, err := Asking(c, f)
	if errors.Is(err, ErrNotYet) {
		return nil // On which link is not known yet.
	}
	if err != nil {
		return err
	}
	changes, err := Plan(ctx, h, want)
	if err != nil {
		return err
	}
	h.asked, err = write(ctx, h, changes, h.asked)
	return err
}

// Unask takes back what Ask did in this run.
func (h *Host) Unask() error {
	asked := h.asked
	h.asked = nil
	if len(asked) == 0 {
		return nil
	}
	return rollback(h, asked)
}
