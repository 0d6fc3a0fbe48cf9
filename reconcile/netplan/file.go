package netplan

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"

	"gopkg.in/yaml.v3"

	"mape-netplan/reconcile/host"
)

const (
	Path = "/etc/netplan/99-ipoe-gw.yaml"
)

// netplanYAML is the file as netplan reads it: a section of definitions by ID.
type netplanYAML struct {
	Network struct {
		Version  int                                  `yaml:"version"`
		Sections map[string]map[string]netplanSetting `yaml:",inline"`
	} `yaml:"network"`
}

// A netplanSetting is what the program sets of one definition; netplan merges
// it with what other files say of the same one.
type netplanSetting struct {
	Mode      string                        `yaml:"mode,omitempty"`
	Local     *netip.Addr                   `yaml:"local,omitempty"`
	Remote    *netip.Addr                   `yaml:"remote,omitempty"`
	TTL       int                           `yaml:"ttl,omitempty"`
	MTU       int                           `yaml:"mtu,omitempty"`
	Optional  bool                          `yaml:"optional,omitempty"`
	AcceptRA  *bool                         `yaml:"accept-ra,omitempty"`
	LinkLocal *[]string                     `yaml:"link-local,omitempty,flow"`
	Addresses []map[string]netplanAddressOf `yaml:"addresses,omitempty"`
	Routes    []netplanRoute                `yaml:"routes,omitempty"`
}

type netplanAddressOf struct {
	Lifetime int `yaml:"lifetime"`
}

type netplanRoute struct {
	To    string `yaml:"to"`
	Scope string `yaml:"scope"`
}

// A Tunnel is netplan's definition of the tunnel. Read back it has no
// more than its name, where it begins and its MTU.
type Tunnel struct {
	ID            string
	Local, Remote netip.Addr
	TTL           int
	MTU           int // bytes; 0 is not known
}

// A Addition is what a definition of somebody else's file needs besides.
type Addition struct {
	Section, ID string
	Address     netip.Prefix // deprecated from the start; invalid for none
	NoRA        bool         // refuse router advertisements
}

// Render renders /etc/netplan/99-ipoe-gw.yaml.
func Render(t Tunnel, additions []Addition) string {
	var file netplanYAML
	file.Network.Version = 2
	file.Network.Sections = map[string]map[string]netplanSetting{}
	set := func(section, id string, change func(*netplanSetting)) {
		if file.Network.Sections[section] == nil {
			file.Network.Sections[section] = map[string]netplanSetting{}
		}
		s := file.Network.Sections[section][id]
		change(&s)
		file.Network.Sections[section][id] = s
	}
	set("tunnels", t.ID, func(s *netplanSetting) {
		s.Mode, s.Local, s.Remote = "ipip6", &t.Local, &t.Remote
		s.TTL, s.MTU = t.TTL, t.MTU
		// The tunnel has no address of its own, so systemd-networkd-wait-online
		// would wait for one until its timeout.
		s.Optional = true
		// Without this networkd sends router solicitations into the tunnel,
		// which carries IPv4 only.
		s.LinkLocal = &[]string{}
		s.Routes = []netplanRoute{{To: "0.0.0.0/0", Scope: "link"}}
	})
	for _, a := range additions {
		set(a.Section, a.ID, func(s *netplanSetting) {
			if a.Address.IsValid() {
				s.Addresses = append(s.Addresses, map[string]netplanAddressOf{a.Address.String(): {Lifetime: 0}})
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
		panic(fmt.Sprintf("netplan file: %v", err)) // Plain structs of strings always encode.
	}
	return b.String()
}

// ReadBack reads our file back, the additions as far as they are addresses.
// One that was edited until it is no YAML any more tells nothing.
func ReadBack(data []byte) (tunnels []Tunnel, additions []Addition) {
	var file File
	if yaml.Unmarshal(data, &file) != nil {
		return nil, nil
	}
	file.each(func(section, id string, d yamlDefinition) {
		if section == "tunnels" {
			t := Tunnel{ID: id}
			t.Local, _ = netip.ParseAddr(d.Local.Value)
			t.MTU, _ = strconv.Atoi(d.MTU.Value)
			tunnels = append(tunnels, t)
			return
		}
		for _, p := range d.prefixes() {
			additions = append(additions, Addition{Section: section, ID: id, Address: p})
		}
	})
	return tunnels, additions
}
