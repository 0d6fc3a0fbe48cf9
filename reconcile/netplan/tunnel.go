package netplan

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"

	"gopkg.in/yaml.v3"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// Path is our own file. It sorts after those of cloud-init and installers.
const Path = "/etc/netplan/99-ipoe-gw.yaml"

// An Addition is what our file adds to a definition of another file.
type Addition struct {
	Section, ID string
	Address     netip.Prefix // deprecated from the start; invalid: none
	NoRA        bool         // ignore router advertisements
}

// yamlFile is our file as netplan reads it: sections of definitions by ID.
type yamlFile struct {
	Network struct {
		Version  int                               `yaml:"version"`
		Sections map[string]map[string]yamlSetting `yaml:",inline"`
	} `yaml:"network"`
}

// A yamlSetting is what our file sets in one definition. netplan merges it with
// the same definition in other files.
type yamlSetting struct {
	Renderer  string      `yaml:"renderer,omitempty"`
	Mode      string      `yaml:"mode,omitempty"`
	Local     *netip.Addr `yaml:"local,omitempty"`
	Remote    *netip.Addr `yaml:"remote,omitempty"`
	TTL       int         `yaml:"ttl,omitempty"`
	MTU       int         `yaml:"mtu,omitempty"`
	Optional  bool        `yaml:"optional,omitempty"`
	AcceptRA  *bool       `yaml:"accept-ra,omitempty"`
	LinkLocal *[]string   `yaml:"link-local,omitempty,flow"`
	Addresses []any       `yaml:"addresses,omitempty"` // with options a map from one address to a yamlAddress
	Routes    []yamlRoute `yaml:"routes,omitempty"`
}

type yamlAddress struct {
	Lifetime int `yaml:"lifetime"`
}

type yamlRoute struct {
	To    string `yaml:"to"`
	Scope string `yaml:"scope"`
}

// Render renders our file. Additions to the same definition are merged. byNM: another
// file gives something to NetworkManager, and files that come later may leave it
// everything that has no renderer of its own.
func Render(t kernel.Tunnel, byNM bool, additions []Addition) string {
	var file yamlFile
	file.Network.Version = 2
	file.Network.Sections = map[string]map[string]yamlSetting{}
	set := func(section, id string, change func(*yamlSetting)) {
		if file.Network.Sections[section] == nil {
			file.Network.Sections[section] = map[string]yamlSetting{}
		}
		s := file.Network.Sections[section][id]
		change(&s)
		file.Network.Sections[section][id] = s
	}
	set("tunnels", t.Link, func(s *yamlSetting) {
		s.Mode, s.Local, s.Remote = "ipip6", &t.Local, &t.Remote
		s.TTL, s.MTU = t.HopLimit, t.MTU
		if byNM {
			s.Renderer = "networkd"
		}
		// The tunnel has no IPv6 address, and mostly no other, for which
		// systemd-networkd-wait-online would otherwise wait until its timeout.
		s.Optional = true
		if t.Inner.IsValid() {
			s.Addresses = append(s.Addresses, t.Inner.String())
		}
		// Without this networkd sends router solicitations into the tunnel,
		// which carries IPv4 only.
		s.LinkLocal = &[]string{}
		s.Routes = []yamlRoute{{To: "0.0.0.0/0", Scope: "link"}}
	})
	for _, a := range additions {
		set(a.Section, a.ID, func(s *yamlSetting) {
			if a.Address.IsValid() {
				s.Addresses = append(s.Addresses, map[string]yamlAddress{a.Address.String(): {Lifetime: 0}})
			}
			if a.NoRA {
				s.AcceptRA = new(bool)
			}
		})
	}
	var b bytes.Buffer
	b.WriteString(host.Heading)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(file); err != nil {
		panic(fmt.Sprintf("netplan file: %v", err)) // plain structs always encode
	}
	return b.String()
}

// ReadBack reads our file: of tunnels the name, the local address, the MTU and the inner address, of
// additions the addresses, in any order. A file that is no longer YAML has
// neither.
func ReadBack(data []byte) (tunnels []kernel.Tunnel, additions []Addition) {
	file, _ := parse(data)
	for _, d := range file.definitions {
		if d.section == "tunnels" {
			t := kernel.Tunnel{Link: d.id}
			t.Local, _ = netip.ParseAddr(d.Local)
			t.MTU, _ = strconv.Atoi(d.MTU)
			for _, p := range d.prefixes() {
				t.Inner = p
			}
			tunnels = append(tunnels, t)
			continue
		}
		for _, p := range d.prefixes() {
			additions = append(additions, Addition{Section: d.section, ID: d.id, Address: p})
		}
	}
	return tunnels, additions
}
