package nat

import (
	"net/netip"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// Name is the nftables table that the program owns, of family ip.
const Name = "mape"

// ResourceName is what the table is called among the resources.
const ResourceName = "table ip " + Name

// Maps between the pool, which connection tracking sees, and the real ports, which the line sees.
const (
	toReal = "real"
	toPool = "pool"
)

// Chains that others jump or go to.
const (
	errorInChain  = "error-in"
	errorOutChain = "error-out"
	forwardsChain = "forwards"
	hairpinChain  = "hairpin"
)

// A Config is what table ip mape is made of.
type Config struct {
	schema.NAT                      // every port of the forwards in Ports
	Tunnel     kernel.Tunnel        // MTU 0: segment sizes stay as they are
	Address    netip.Prefix         // the shared address, or a prefix that is not shared
	Ports      []softwire.PortRange // of the port set, ascending
	// Untranslated are the sources that leave as they are, where nothing is translated here: the provider does, or the
	// addresses are public. It is nil with NAT, and none overlaps another.
	Untranslated []netip.Prefix
}

// A natTable has what the chains are compiled from.
type natTable struct {
	Config
	Pool
	tun []byte // the tunnel's name as the kernel compares it
}

// accepts reports whether new connections from the internet without a forward are left to other tables.
func (c Config) accepts() bool { return c.Inbound == "accept" }
