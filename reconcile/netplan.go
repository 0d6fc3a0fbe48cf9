package reconcile

import (
	"bytes"
	"fmt"
	"net/netip"

	"gopkg.in/yaml.v3"
)

const (
	netplanPath    = "/etc/netplan/99-ipoe-gw.yaml"
	netplanCommand = "/usr/sbin/netplan"
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

// netplanText renders /etc/netplan/99-ipoe-gw.yaml: the tunnel, and what the
// definitions of the WAN and the LAN need besides their own files.
func netplanText(g *Gateway) string {
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
	set("tunnels", g.Tunnel, func(s *netplanSetting) {
		s.Mode, s.Local, s.Remote = "ipip6", &g.Softwire.CE, &g.Softwire.BR
		s.TTL, s.MTU = hopLimit, g.MTU
		// The tunnel has no address of its own, so systemd-networkd-wait-online
		// would wait for one until its timeout.
		s.Optional = true
		// Without this networkd sends router solicitations into the tunnel,
		// which carries IPv4 only.
		s.LinkLocal = &[]string{}
		s.Routes = []netplanRoute{{To: "0.0.0.0/0", Scope: "link"}}
	})
	for _, p := range g.Persist {
		if p.Definition == nil {
			continue
		}
		set(p.Definition.Section, p.Definition.ID, func(s *netplanSetting) {
			if p.CE.IsValid() {
				s.Addresses = append(s.Addresses, map[string]netplanAddressOf{p.CE.String(): {Lifetime: 0}})
			}
			if p.NoRA {
				s.AcceptRA = new(bool)
			}
		})
	}
	var b bytes.Buffer
	b.WriteString(heading)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(file); err != nil {
		panic(fmt.Sprintf("netplan file: %v", err)) // Plain structs of strings always encode.
	}
	return b.String()
}
