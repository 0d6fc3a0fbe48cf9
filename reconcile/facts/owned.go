package facts

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/sysctld"
	"mape-netplan/schema"
)

// Owned is what earlier runs left on the machine, as their files, their table and
// the marks of addresses tell. These are the program's only memory.
type Owned struct {
	Files     []string       `json:"files,omitempty"`
	Tunnels   []string       `json:"tunnels,omitempty"`
	Addresses []OwnedAddress `json:"addresses,omitempty"`
	// Inner are the IPv4 addresses of tunnels.
	Inner []OwnedAddress `json:"inner,omitempty"`
	// Translates: packets leave by MAP-T's translator, or did until a run was cut off.
	Translates bool `json:"translates,omitempty"`
	// Memory is the line that the files were made for.
	Memory *Memory `json:"memory,omitempty"`
	// Requesting are the links on which a file of ours requests a prefix.
	Requesting []string `json:"asking,omitempty"`
	// Requests are those files, whether networkd has read them yet or not.
	Requests []Request `json:"requests,omitempty"`
	// Overridden are lines of others' drop-ins, with their files, that networkd reads
	// after the same keys in ours.
	Overridden []string `json:"overridden,omitempty"`
	// Translations are those of the program's table in the kernel.
	Translations []nat.Translation `json:"translations,omitempty"`
	// Proven is the section of LastSection. It stays out of what people show to others.
	Proven *schema.Config `json:"-"`
}

// An OwnedAddress is a CE address that a file of ours puts on a link, or that is marked as ours.
type OwnedAddress struct {
	Link   string       `json:"link"`
	Prefix netip.Prefix `json:"prefix"`
}

// Has reports whether the address on the link is ours.
func (o Owned) Has(link string, ce netip.Addr) bool {
	return slices.ContainsFunc(o.Addresses, func(a OwnedAddress) bool {
		return a.Link == link && a.Prefix.Addr() == ce
	})
}

// ReadOwned reads our files, our table and the marks of addresses: a run that was killed leaves addresses and tunnels that no
// file names.
func ReadOwned(h *host.Host, f Facts) (Owned, error) {
	o, err := ownedFiles(h, f)
	for _, l := range f.Links {
		for _, a := range l.Addresses {
			owned := OwnedAddress{l.Name, a.Prefix}
			switch {
			case !a.Ours:
			case a.Prefix.Addr().Is4():
				if !slices.Contains(o.Inner, owned) {
					o.Inner = append(o.Inner, owned)
				}
			case !o.Has(l.Name, a.Prefix.Addr()):
				o.Addresses = append(o.Addresses, owned)
			}
		}
	}
	live, foreign := table(h)
	if foreign != nil {
		return o, foreign
	}
	o.Translations = nat.Translations(live)
	for _, l := range f.Links {
		if l.Kind == "ip6tnl" && nat.Names(live, l.Name) && !slices.Contains(o.Tunnels, l.Name) {
			o.Tunnels = append(o.Tunnels, l.Name)
		}
	}
	return o, err
}

// ownedFiles reads our files. Another program's file at one of our paths is skipped
// here, and refused by File.Read. The error is a host.Unread of the files that
// cannot be read, ours or not; the others are returned beside it.
func ownedFiles(h *host.Host, f Facts) (Owned, error) {
	var o Owned
	var unread host.Unread
	paths := []string{netplan.Path, sysctld.Path}
	for _, pattern := range []string{"/*.netdev", "/*.network", "/*.d/" + networkd.DropInName} {
		found, err := h.Glob(networkd.NetworkDir + pattern)
		if err != nil {
			return o, err
		}
		paths = append(paths, found...)
	}
	for _, p := range paths {
		if !h.IsRegular(p) {
			continue
		}
		data, err := h.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			unread = append(unread, host.FileError{Path: p, Err: err})
			continue
		}
		if !strings.HasPrefix(string(data), host.Mark) {
			continue
		}
		o.Files = append(o.Files, p)
		if p == netplan.Path {
			o.fromNetplan(data, f)
		} else {
			o.fromUnit(p, string(data), f)
			o.Overridden = append(o.Overridden, networkd.Overridden(h, p, string(data))...)
		}
	}
	// A run that was cut off between two backends leaves files of both.
	slices.Sort(o.Tunnels)
	o.Tunnels = slices.Compact(o.Tunnels)
	sort.Slice(o.Addresses, func(i, j int) bool {
		a, b := o.Addresses[i], o.Addresses[j]
		return cmp.Or(strings.Compare(a.Link, b.Link), a.Prefix.Compare(b.Prefix)) < 0
	})
	o.Addresses = slices.Compact(o.Addresses)
	return o, unread.Err()
}

// Translations are those of the live table; nil if that cannot be read. Table.Read
// reports that error, and looks that need no table do not fail: the only error here
// is nat.ErrForeign.
func Translations(h *host.Host) ([]nat.Translation, error) {
	live, err := table(h)
	return nat.Translations(live), err
}

// table is the live one.
func table(h *host.Host) (nft.Table, error) {
	if h.NFT == nil {
		return nft.Table{}, nil
	}
	live, err := nat.ReadRules(h.NFT)
	switch {
	case errors.Is(err, nat.ErrForeign):
		return live, fmt.Errorf("%s: %w", nat.ResourceName, err)
	case err != nil:
		return nft.Table{}, nil
	}
	return live, nil
}

// fromNetplan adds what our netplan file tells.
func (o *Owned) fromNetplan(data []byte, f Facts) {
	tunnels, additions := netplan.ReadBack(data)
	for _, t := range tunnels {
		o.Tunnels = append(o.Tunnels, t.Link)
		o.remember(t.Local, t.MTU)
		o.inner(t)
	}
	for _, a := range additions {
		for _, link := range f.interfaces(a.ID) {
			o.Addresses = append(o.Addresses, OwnedAddress{link, a.Address})
		}
	}
}

// interfaces are those of a netplan definition; the one of its name where no other
// file has it.
func (f Facts) interfaces(id string) []string {
	for _, d := range f.Definitions {
		if d.ID == id {
			return d.Interfaces
		}
	}
	return []string{id}
}

// fromUnit adds what one of our networkd files tells.
func (o *Owned) fromUnit(file, text string, f Facts) {
	netdev, dropIn := networkd.ReadBack(text)
	for _, tunnel := range []string{networkd.EncapLimitTunnel(file), netdev.Link} {
		if tunnel != "" {
			o.Tunnels = append(o.Tunnels, tunnel)
		}
	}
	o.remember(netdev.Local, netdev.MTU)
	o.inner(netdev)
	links := f.ConfiguredBy(file)
	if dropIn.Address.IsValid() {
		on := links
		if id := networkd.DefinitionID(file); len(on) == 0 && id != "" { // networkd has not said
			on = f.interfaces(id)
		}
		for _, l := range on {
			o.Addresses = append(o.Addresses, OwnedAddress{l, dropIn.Address})
		}
	}
	if dropIn.Request {
		o.Requesting = append(o.Requesting, links...)
		o.Requests = append(o.Requests, Request{File: file, KeepsDUID: dropIn.KeepsDUID})
	}
}

// ConfiguredBy are the links that a drop-in of ours is for.
func (f Facts) ConfiguredBy(dropIn string) (links []string) {
	for _, l := range f.Links {
		if l.NetworkFile != "" && networkd.DropInPath(l.NetworkFile) == dropIn {
			links = append(links, l.Name)
		}
	}
	return links
}

// A Request is a file of ours that makes networkd request a prefix.
type Request struct {
	File string `json:"file"`
	// KeepsDUID: the file does not set the DUID.
	KeepsDUID bool `json:"keeps_duid,omitempty"`
}

// A Memory is the line that our own files were last made for: its CE address
// and the MTU of the tunnel, in bytes; 0 is not known.
type Memory struct {
	CE  netip.Addr `json:"ce"`
	MTU int        `json:"mtu,omitempty"`
}

// remember takes the line from a tunnel of one of our files. Without a local
// address there is none.
func (o *Owned) remember(ce netip.Addr, mtu int) {
	if ce.Is6() {
		o.Memory = &Memory{ce, mtu}
	}
}

func (o *Owned) inner(t kernel.Tunnel) {
	if t.Inner.IsValid() {
		o.Inner = append(o.Inner, OwnedAddress{t.Link, t.Inner})
	}
}

// Wan is the link that has the remembered CE address by our files; "" if unknown.
func (o Owned) Wan() string {
	i := slices.IndexFunc(o.Addresses, func(a OwnedAddress) bool { return o.Memory != nil && a.Prefix.Addr() == o.Memory.CE })
	if i < 0 {
		return ""
	}
	return o.Addresses[i].Link
}

// Remembered are the facts of an earlier run: what its files tell, the last section and the line's
// last answer. If files cannot be read the error is a host.Unread, and the facts are
// those of the others.
func Remembered(h *host.Host) (Facts, error) {
	owned, err := ownedFiles(h, Facts{})
	owned.Proven, _ = LastSection(h)   // Without it the guard is of the section, or a wall.
	names, _ := discovery.ReadNames(h) // The guard does not depend on it.
	return Facts{Owned: owned, Discovered: discovery.Cached(h), FarEnds: names}, err
}
