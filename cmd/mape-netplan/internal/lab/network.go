package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Gateway and Host are the LAN's two addresses, both /24.
const (
	Gateway = "192.168.1.5"
	Host    = "192.168.1.10"
)

// Network is everything around the gateway.
type Network struct {
	LAN, WAN, Inet *Namespace
	Relay          *Relay
	Resolver       *Resolver
	Registrar      *Registrar

	lanTap, wanTap *os.File
	router         *router
	delegator      *delegator
	home           net.Listener // of the home gateway, nil for none
	closers        []io.Closer  // closed last to first
}

// NewNetwork makes the namespaces and everything in them: the LAN host, the
// router that announces, the relay that judges, the servers.
func NewNetwork(announce Announce, judge Judge) (n *Network, err error) {
	n = &Network{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("laboratory network: %w", err), n.Close())
		}
	}()
	for _, ns := range []**Namespace{&n.LAN, &n.WAN, &n.Inet} {
		if *ns, err = NewNamespace(); err != nil {
			return n, err
		}
		n.closers = append(n.closers, *ns)
	}
	if err := errors.Join(n.lan(), n.wan(), n.inet(), n.resolve(), n.register()); err != nil {
		return n, err
	}
	if n.Relay, err = newRelay(n.WAN, judge); err != nil {
		return n, err
	}
	n.closers = append(n.closers, n.Relay)
	if n.router, err = newRouter(n.WAN); err != nil {
		return n, err
	}
	n.delegator = &delegator{wan: n.WAN}
	n.closers = append(n.closers, n.router, n.delegator)
	return n, n.Announce(announce)
}

// Announce changes what the router announces, at once. Prefixes announced
// before stay valid in the gateway until their lifetime ends.
func (n *Network) Announce(a Announce) error { return n.router.announce(a) }

// NarrowPath makes the network behind the relay one that carries no packet longer than mtu to a server: whichever host sends
// one that may not be fragmented is told.
func (n *Network) NarrowPath(server string, mtu int) error {
	return n.WAN.routeMTU(server+"/32", "inet", "", mtu)
}

func (n *Network) lan() (err error) {
	if n.lanTap, err = n.LAN.openTap("lan", unix.IFF_TAP); err != nil {
		return err
	}
	n.closers = append(n.closers, n.lanTap)
	return errors.Join(
		n.LAN.address("lan", Host+"/24"),
		n.LAN.up("lan"),
		n.LAN.route("0.0.0.0/0", "lan", Gateway),
	)
}

func (n *Network) wan() (err error) {
	if n.wanTap, err = n.WAN.openTap("line", unix.IFF_TAP); err != nil {
		return err
	}
	n.closers = append(n.closers, n.wanTap)
	return errors.Join(
		n.WAN.sysctl("net/ipv4/ip_forward", "1"),
		n.WAN.sysctl("net/ipv6/conf/all/forwarding", "1"),
		n.WAN.sysctl("net/ipv6/conf/line/addr_gen_mode", "1"), // the router is fe80::1 only
		n.WAN.address("line", "fe80::1/64"),
		n.WAN.up("line"),
	)
}

// inet makes the servers' namespace, one hop behind the relay.
func (n *Network) inet() error {
	pair := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: "inet"},
		PeerName:      "wan",
		PeerNamespace: netlink.NsFd(n.Inet.handle),
	}
	if err := n.WAN.links.LinkAdd(pair); err != nil {
		return fmt.Errorf("veth: %w", err)
	}
	errs := []error{
		n.WAN.address("inet", "203.0.113.1/24"),
		n.WAN.up("inet"),
		n.Inet.up("wan"),
	}
	for _, server := range Servers {
		errs = append(errs, n.Inet.address("wan", server+"/24"))
	}
	errs = append(errs, n.Inet.route("0.0.0.0/0", "wan", "203.0.113.1"))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	servers, err := serve(n.Inet)
	n.closers = append(n.closers, servers...)
	return err
}

// Close stops everything; the namespaces go with it.
func (n *Network) Close() error {
	var errs []error
	for _, c := range slices.Backward(n.closers) {
		errs = append(errs, c.Close())
	}
	n.closers = nil
	return errors.Join(errs...)
}
