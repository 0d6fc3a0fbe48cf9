package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
)

// A daemon stands for networkd: what it says of eth1 in its state file is what it has read of the drop-in. 252 says
// nothing of drop-ins there, and releases no lease.
type daemon struct {
	ns      *hosttest.NS
	dir     string
	says252 bool
	Denies  bool   // a prefix
	Managed bool   // a router has the M flag: networkd asks without our drop-in as well
	Late    bool   // it has not come to what it was told yet
	lease   string // the DUID to which the server has given its only prefix
	Reloads int
	Index   int
}

const (
	AskingWAN    = "/etc/systemd/network/20-wan.network"
	AskingDropIn = "/etc/systemd/network/20-wan.network.d/50-mape.conf"
)

func (d *daemon) Reload(context.Context) error {
	d.Reloads++
	if d.Late {
		return nil
	}
	data, _ := os.ReadFile(filepath.Join(d.dir, AskingDropIn))
	text := "NETWORK_FILE=" + AskingWAN + "\n"
	if !d.says252 {
		text += `NETWORK_FILE_DROPINS="`
		if len(data) > 0 {
			text += AskingDropIn
		}
		text += "\"\n"
	}
	id := "DUID-EN/Vendor:0000ab1112345678"
	d.ns.Try("ip", "-6", "route", "del", "unreachable", "2400:4050:5c71:af00::/56")
	if strings.Contains(string(data), "DUIDType=link-layer") {
		id = "DUID-LL:0001bc2411000002"
	}
	asks := d.Managed || strings.Contains(string(data), "DHCPv6Client=always")
	if asks && !d.Denies && (d.lease == "" || d.lease == id) {
		d.lease = id
		d.ns.Try("ip", "-6", "route", "add", "unreachable", "2400:4050:5c71:af00::/56", "proto", "dhcp", "metric", "1024")
	}
	file := filepath.Join(d.dir, "run/systemd/netif/links", fmt.Sprint(d.Index))
	return errors.Join(os.MkdirAll(path.Dir(file), 0o755), os.WriteFile(file, []byte(text+"DHCP6_CLIENT_DUID="+id+"\n"), 0o644))
}

func (d *daemon) Describe(context.Context, int) ([]byte, error) { return nil, errors.New("no answer") }

// NewAsking is a machine whose WAN is configured by networkd alone.
func NewAsking(t *testing.T, says252 bool) (*Machine, *daemon) {
	g := NewMachine(t)
	hosttest.WriteFile(t, filepath.Join(g.Dir, AskingWAN), "[Match]\nName=eth1\n")
	var index int
	g.Do(func() {
		link, err := kernel.LinkByName(g.H, "eth1")
		if err != nil {
			t.Fatal(err)
		}
		index = link.Attrs().Index
	})
	d := &daemon{ns: g.NS, dir: g.Dir, says252: says252, Index: index}
	g.H.Bus = d
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Reloads = 0
	g.Exec(t, "ip", "address", "add", "240b:10:1234:5600::5/64", "dev", "eth1", "nodad")
	g.Exec(t, "ip", "route", "add", "default", "via", "fe80::1", "dev", "eth1")
	return g, d
}

const AskingSection = "{wan-prefix: pd, backend: networkd, lan: []}"
