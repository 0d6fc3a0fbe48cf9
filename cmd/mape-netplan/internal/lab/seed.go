package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The gateway's MAC addresses, in Proxmox's range.
const (
	lanMAC = "bc:24:11:00:00:01" // eth0
	wanMAC = "bc:24:11:00:00:02" // eth1
)

// Seed is the NoCloud data on the CD-ROM. The machine's ssh key is added to
// the user data by itself.
type Seed struct {
	UserData      string            // cloud-config after its first line, "" for none
	NetworkConfig string            // version 1 or 2
	Files         map[string]string // more files on the CD-ROM, name to local path; mount LABEL=cidata to read them
}

// ProxmoxNetwork is the network-config that Proxmox VE generates for a VM with
// ipconfig0 ip=192.168.1.5/24 and ipconfig1 ip6=wan[,gw6=gateway]. An invalid
// wan leaves eth1 out, an invalid gateway the gateway.
func ProxmoxNetwork(wan netip.Prefix, gateway netip.Addr) string {
	var b strings.Builder
	nic := func(name, mac string) {
		fmt.Fprintf(&b, "    - type: physical\n      name: %s\n      mac_address: '%s'\n      subnets:\n", name, mac)
	}
	b.WriteString("version: 1\nconfig:\n")
	nic("eth0", lanMAC)
	fmt.Fprintf(&b, "      - type: static\n        address: '%s'\n        netmask: '255.255.255.0'\n", Gateway)
	if wan.IsValid() {
		nic("eth1", wanMAC)
		fmt.Fprintf(&b, "      - type: static6\n        address: '%s'\n", wan)
		if gateway.IsValid() {
			fmt.Fprintf(&b, "        gateway: '%s'\n", gateway)
		}
	}
	b.WriteString("    - type: nameserver\n      address:\n      - '192.168.1.1'\n      search:\n      - 'home.arpa'\n")
	return b.String()
}

// userData is Proxmox's, with the seed's appended.
func (s Seed) userData(key string) string {
	return "#cloud-config\nhostname: gw\nmanage_etc_hosts: true\nfqdn: gw.home.arpa\n" +
		"disable_root: false\nusers:\n  - name: root\n    ssh_authorized_keys:\n      - " + strings.TrimSpace(key) + "\n" +
		"chpasswd:\n  expire: False\n" + s.UserData
}

// iso writes the CD-ROM image.
func (s Seed) iso(ctx context.Context, path, key string) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), "seed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	texts := map[string]string{
		"meta-data":      "instance-id: mape-netplan-lab\n",
		"user-data":      s.userData(key),
		"network-config": s.NetworkConfig,
	}
	args := []string{"-quiet", "-joliet", "-rock", "-volid", "cidata", "-graft-points", "-output", path}
	for name, text := range texts {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		args = append(args, name+"="+file)
	}
	for name, file := range s.Files {
		args = append(args, name+"="+file)
	}
	if out, err := exec.CommandContext(ctx, "genisoimage", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("genisoimage: %w\n%s", err, out)
	}
	return nil
}
