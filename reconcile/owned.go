package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"mape-netplan/reconcile/nft"
)

// Owned is what earlier runs made on the machine, as far as their files tell,
// and their table. These are the program's only memory.
type Owned struct {
	Files     []string       `json:"files,omitempty"`
	Tunnels   []string       `json:"tunnels,omitempty"`
	Addresses []OwnedAddress `json:"addresses,omitempty"`
	// Memory is the line that the files were made for.
	Memory *Memory `json:"memory,omitempty"`
	// Asking are the links on which a file of ours asks for a delegation.
	Asking []string `json:"asking,omitempty"`
	// Requests are how those files ask, whether networkd uses them yet or not.
	Requests []Request `json:"requests,omitempty"`
	// Translations are those of the table that the kernel has.
	Translations []Translation `json:"translations,omitempty"`
}

// An OwnedAddress is a CE address that a file of ours puts on a link.
type OwnedAddress struct {
	Link   string       `json:"link"`
	Prefix netip.Prefix `json:"prefix"`
}

// has says whether one of our files puts the address on the link.
func (o Owned) has(link string, ce netip.Addr) bool {
	return slices.ContainsFunc(o.Addresses, func(a OwnedAddress) bool {
		return a.Link == link && a.Prefix.Addr() == ce
	})
}

// owned reads our files and our table.
func (h *Host) owned(f Facts) (Owned, error) {
	o, err := h.ownedFiles(f)
	o.Translations = h.translations()
	return o, err
}

// ownedFiles reads our files; those that somebody else wrote at our paths are
// left to File.Read to complain of. The error names each that cannot be read,
// which may be ours or not, and what the others tell is returned beside it.
func (h *Host) ownedFiles(f Facts) (Owned, error) {
	var o Owned
	var bad []error
	paths := []string{netplanPath, sysctlPath}
	for _, pattern := range []string{"/*.netdev", "/*.network", "/*.d/" + dropIn} {
		found, err := h.glob(networkDir + pattern)
		if err != nil {
			return o, err
		}
		paths = append(paths, found...)
	}
	for _, p := range paths {
		if !h.isRegular(p) {
			continue
		}
		data, err := h.Root.ReadFile(local(p))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && h.Hidden != nil {
			continue
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", p, err))
			continue
		}
		if !strings.HasPrefix(string(data), mark) {
			continue
		}
		o.Files = append(o.Files, p)
		if p == netplanPath {
			o.fromNetplan(data, f)
		} else {
			o.fromUnit(p, string(data), f)
		}
	}
	// A run that was cut off between two backends leaves files of both.
	slices.Sort(o.Tunnels)
	o.Tunnels = slices.Compact(o.Tunnels)
	slices.SortFunc(o.Addresses, func(a, b OwnedAddress) int {
		return cmp.Or(strings.Compare(a.Link, b.Link), a.Prefix.Compare(b.Prefix))
	})
	o.Addresses = slices.Compact(o.Addresses)
	return o, errors.Join(bad...)
}

// translations are those of the live table. One that cannot be read is left to
// Table.Read to complain of: whoever wants to know less must not fail here.
func (h *Host) translations() []Translation {
	if h.NFT == nil {
		return nil
	}
	live, err := nft.ReadRules(h.NFT, tableName)
	if err != nil {
		return nil
	}
	return translations(live)
}

// fromNetplan is what our netplan file tells.
func (o *Owned) fromNetplan(data []byte, f Facts) {
	tunnels, additions := readNetplan(data)
	for _, t := range tunnels {
		o.Tunnels = append(o.Tunnels, t.ID)
		o.remember(t.Local, t.MTU)
	}
	for _, a := range additions {
		links := []string{a.ID}
		for _, other := range f.Definitions {
			if other.Section == a.Section && other.ID == a.ID {
				links = other.Interfaces
			}
		}
		for _, link := range links {
			o.Addresses = append(o.Addresses, OwnedAddress{link, a.Address})
		}
	}
}

// fromUnit is what one of our networkd files tells.
func (o *Owned) fromUnit(file, text string, f Facts) {
	netdev, dropIn := readUnit(text)
	for _, tunnel := range []string{limited(file), netdev.Name} {
		if tunnel != "" {
			o.Tunnels = append(o.Tunnels, tunnel)
		}
	}
	o.remember(netdev.Local, netdev.MTU)
	links := f.configuredBy(file)
	if dropIn.Address.IsValid() {
		for _, l := range links {
			o.Addresses = append(o.Addresses, OwnedAddress{l, dropIn.Address})
		}
	}
	if dropIn.Ask {
		o.Asking = append(o.Asking, links...)
		o.Requests = append(o.Requests, Request{File: file, KeepsDUID: dropIn.KeepsDUID})
	}
}

// configuredBy are the links that a drop-in of ours is for.
func (f Facts) configuredBy(dropIn string) (links []string) {
	for _, l := range f.Links {
		if l.NetworkFile != "" && dropInPath(l.NetworkFile) == dropIn {
			links = append(links, l.Name)
		}
	}
	return links
}

// networkFiles finds the .network file of each link: networkd tells, and by
// which DUID it asks there. Where it does not run, it is the first file whose
// [Match] names the link.
func (h *Host) networkFiles(links []Link) error {
	files, err := h.networkUnits()
	if err != nil {
		return err
	}
	for i, l := range links {
		if h.Bus != nil && l.Index > 0 {
			var configured bool
			if links[i].NetworkFile, configured = h.linkState(l.Index, "NETWORK_FILE"); configured {
				links[i].DUIDType = h.duidType(l.Index)
			}
			continue
		}
		for _, p := range files {
			if data, err := h.Root.ReadFile(local(p)); err == nil && matchesName(string(data), l.Name) {
				links[i].NetworkFile = p
				break
			}
		}
	}
	return nil
}

// networkUnits lists networkd's .network files in the order in which it reads
// them.
func (h *Host) networkUnits() ([]string, error) {
	at := map[string]string{}
	for _, dir := range []string{"/usr/lib/systemd/network", "/run/systemd/network", networkDir} {
		paths, err := h.glob(dir + "/*.network")
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			at[path.Base(p)] = p
		}
	}
	files := make([]string, 0, len(at))
	for _, p := range at {
		files = append(files, p)
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return files, nil
}

// unitLinks lists the interfaces that .network files of others name: all that
// tells of one where there is no kernel. A pattern names none.
func (h *Host) unitLinks() ([]Link, error) {
	files, err := h.networkUnits()
	var links []Link
	for _, p := range files {
		data, err := h.Root.ReadFile(local(p))
		if err != nil || strings.HasPrefix(string(data), mark) {
			continue
		}
		options, _ := unit.DeserializeOptions(strings.NewReader(string(data)))
		var names []string
		var addresses []Inet
		for _, option := range options {
			switch {
			case option.Section == "Match" && option.Name == "Name":
				names = strings.Fields(option.Value)
			case option.Section != "Match" && option.Name == "Address":
				if p, err := netip.ParsePrefix(option.Value); err == nil {
					addresses = append(addresses, Inet{Prefix: p, Origin: OriginStatic})
				}
			}
		}
		for _, name := range names {
			if !strings.ContainsAny(name, "*?[!") {
				links = append(links, Link{Name: name, Addresses: addresses})
			}
		}
	}
	return links, err
}

func matchesName(text, link string) bool {
	options, _ := unit.DeserializeOptions(strings.NewReader(text))
	for _, option := range options {
		if option.Section != "Match" || option.Name != "Name" {
			continue
		}
		for _, pattern := range strings.Fields(option.Value) {
			if ok, _ := path.Match(pattern, link); ok {
				return true
			}
		}
	}
	return false
}
