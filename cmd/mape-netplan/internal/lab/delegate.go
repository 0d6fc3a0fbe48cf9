package lab

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// client is the gateway's own address on the line: EUI-64 of its MAC address.
const client = "fe80::be24:11ff:fe00:2"

// delegator is the provider's DHCPv6 server, or a home gateway's: Kea, which
// has one prefix to delegate and no addresses.
type delegator struct {
	wan *Namespace
	dir string
	cmd *exec.Cmd
}

// Delegate has the line's DHCPv6 server delegate a prefix, and routes it to
// the gateway; an invalid one stops the server. What it delegated before stays
// valid in the gateway until that asks again.
func (n *Network) Delegate(prefix netip.Prefix) error { return n.delegate(prefix, nil) }

// kea6 is a configuration of Kea that sends every softwire option, each of which Kea 2.2 was seen to send: 64, 94, 95,
// 96 (RFC 6334, RFC 7598) and 111 (RFC 8026).
//
//go:embed testdata/kea6.json
var kea6 []byte

// Provision is Delegate, and the server sends kea6's options as well.
func (n *Network) Provision(prefix netip.Prefix) error {
	var config struct {
		Dhcp6 struct {
			Subnet6 []struct {
				Options json.RawMessage `json:"option-data"`
			}
		}
	}
	if err := json.Unmarshal(kea6, &config); err != nil {
		return fmt.Errorf("kea6.json: %w", err)
	}
	return n.delegate(prefix, config.Dhcp6.Subnet6[0].Options)
}

func (n *Network) delegate(prefix netip.Prefix, options json.RawMessage) error {
	n.delegator.stop()
	if !prefix.IsValid() {
		return nil
	}
	err := n.WAN.route(prefix.String(), "line", client)
	if ce := n.Relay.ce(); prefix.Contains(ce) {
		// No neighbour discovery: a provider routes what it has delegated.
		err = errors.Join(err, n.WAN.route(netip.PrefixFrom(ce, 128).String(), "line", client))
	}
	if err == nil {
		err = n.delegator.start(prefix, options)
	}
	if err != nil {
		return fmt.Errorf("delegating %s: %w", prefix, err)
	}
	return nil
}

// config is Kea's. The lifetime is what a line of NTT was seen to give.
func (d *delegator) config(prefix netip.Prefix, options json.RawMessage) ([]byte, error) {
	type object = map[string]any
	if options == nil {
		options = json.RawMessage("[]")
	}
	return json.Marshal(object{"Dhcp6": object{
		"data-directory":    d.dir,
		"server-id":         object{"type": "LL", "persist": false},
		"interfaces-config": object{"interfaces": []string{"line"}},
		"lease-database":    object{"type": "memfile", "persist": false},
		"subnet6": []object{{
			// The network that the link is in says nothing here: leases go by the link.
			"subnet": "2001:db8::/64", "interface": "line", "valid-lifetime": 1844, "preferred-lifetime": 1844,
			"pd-pools":    []object{{"prefix": prefix.Addr().String(), "prefix-len": prefix.Bits(), "delegated-len": prefix.Bits()}},
			"option-data": options,
		}},
		"loggers": []object{{"name": "kea-dhcp6", "severity": "WARN", "output_options": []object{{"output": filepath.Join(d.dir, "log")}}}},
	}})
}

// start runs the server until it listens.
func (d *delegator) start(prefix netip.Prefix, options json.RawMessage) (err error) {
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "mape-lab-"); err != nil {
			return err
		}
	}
	config, err := d.config(prefix, options)
	if err != nil {
		return err
	}
	path := filepath.Join(d.dir, "kea.json")
	if err := os.WriteFile(path, config, 0o644); err != nil {
		return err
	}
	cmd := exec.Command("kea-dhcp6", "-c", path)
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+d.dir, "KEA_LOCKFILE_DIR="+d.dir)
	out, err := os.Create(filepath.Join(d.dir, "out"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := d.wan.start(cmd); err != nil {
		return fmt.Errorf("kea-dhcp6: %w", err)
	}
	d.cmd = cmd
	// It notes its process when it has read its configuration.
	pid := filepath.Join(d.dir, "kea.kea-dhcp6.pid")
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(pid); err == nil {
			return nil
		}
		if time.Now().After(end) {
			said, _ := os.ReadFile(out.Name())
			return fmt.Errorf("kea-dhcp6 does not start: %s", tail(string(said), 5))
		}
	}
}

func (d *delegator) stop() {
	if d.cmd != nil {
		d.cmd.Process.Kill()
		d.cmd.Wait()
		d.cmd = nil
		os.Remove(filepath.Join(d.dir, "kea.kea-dhcp6.pid"))
	}
}

// Close stops the server.
func (d *delegator) Close() error {
	d.stop()
	return os.RemoveAll(d.dir)
}
