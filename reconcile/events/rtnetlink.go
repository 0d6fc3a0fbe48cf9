package events

import (
	"encoding/binary"
	"fmt"
	"maps"
	"strings"

	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nlmsg"
)

// routeEvents reads the messages of rtnetlink about links, addresses, default routes, rules, parameters of interfaces and
// filters. It reports what is new: a router advertisement repeats most of this with other lifetimes every few seconds, and
// a routing daemon may have hundreds of thousands of routes.
type routeEvents struct {
	*Reports
	known  map[string]string // the state of each link and address, by what identifies it
	routes map[string]string // likewise of routes
}

func newRouteEvents(r *Reports) routeEvents {
	return routeEvents{Reports: r, known: map[string]string{}, routes: map[string]string{}}
}

// reset forgets every state, when messages were lost.
func (r routeEvents) reset() {
	clear(r.known)
	clear(r.routes)
}

func (r routeEvents) receive(m netlink.Message) {
	var kind engine.Event
	var object, state string
	known := r.known
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		kind = engine.LinkEvent
		object, state = linkState(m.Data)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		kind = engine.AddressEvent
		object, state = addressState(m.Data)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		kind, known = engine.RouteEvent, r.routes
		object, state = routeState(m.Data)
	case unix.RTM_NEWNETCONF, unix.RTM_NEWRULE, unix.RTM_DELRULE:
		r.Wake()
		return
	case unix.RTM_NEWTFILTER, unix.RTM_DELTFILTER, unix.RTM_DELQDISC:
		r.receiveFilter(m)
		return
	}
	if object == "" {
		return
	}
	object = string(kind) + object
	switch m.Header.Type {
	case unix.RTM_DELLINK, unix.RTM_DELADDR, unix.RTM_DELROUTE:
		delete(known, object)
	default:
		if before, ok := known[object]; ok && before == state && !(kind == engine.AddressEvent && r.changesSubnet(m.Data)) {
			return
		}
		known[object] = state
	}
	r.forgetFlushed(m)
	if kind == engine.AddressEvent && r.isUnrelated(binary.NativeEndian.Uint32(m.Data[4:])) {
		notify(r.Unrelated)
		return
	}
	r.report(kind, m)
}

// report wakes the watch for a message, and records its sender where that is another process.
func (r routeEvents) report(kind engine.Event, m netlink.Message) {
	if pid := int(m.Header.PID); !isSelf(pid) {
		r.record(kind, pid, "")
	}
	r.Wake()
}

// receiveFilter reports changes of our filters, and the deletion of a clsact, with which its filters go without a
// message of their own. The kernel does not repeat a filter, so each message is new.
func (r routeEvents) receiveFilter(m netlink.Message) {
	clsact := m.Header.Type == unix.RTM_DELQDISC && len(m.Data) >= nl.SizeofTcMsg &&
		binary.NativeEndian.Uint32(m.Data[12:]) == vishvananda.HANDLE_CLSACT
	if clsact || kernel.IsOurs(m.Data) {
		r.report(engine.FilterEvent, m)
	}
}

// forgetFlushed forgets what the kernel deletes without a message (measured on 6.18): the routes of a link that goes down
// or away, and the IPv4 routes of a link that loses an address. When one is added again, that is a change.
func (r routeEvents) forgetFlushed(m netlink.Message) {
	switch m.Header.Type {
	case unix.RTM_DELLINK:
		delete(r.known, subnetKey(m.Data))
		clear(r.routes)
	case unix.RTM_NEWLINK:
		clear(r.routes)
	case unix.RTM_DELADDR:
		if m.Data[0] == unix.AF_INET {
			inet := fmt.Sprintf("route%d ", unix.AF_INET)
			maps.DeleteFunc(r.routes, func(object, _ string) bool { return strings.HasPrefix(object, inet) })
		}
	}
}

// subnetKey is the key, in known, of the subnet that a link's last router advertisement was of. The link's index is at the
// same offset in messages of links and of addresses.
func subnetKey(data []byte) string { return "subnet of " + string(data[4:8]) }

// changesSubnet reports whether an address that is announced again is of another subnet than the one announced before it
// on that link: of two prefixes the line's is the one that is still announced.
func (r routeEvents) changesSubnet(data []byte) bool {
	link, subnet := subnetKey(data), ""
	for kind, value := range nlmsg.Value(data[unix.SizeofIfAddrmsg:]).Attributes() {
		if kind == unix.IFA_ADDRESS && len(value) == 16 && value[0]&0xe0 == 0x20 { // IANA: global unicast
			subnet = string(value[:8])
		}
	}
	if subnet == "" || r.known[link] == subnet {
		return false
	}
	_, announced := r.known[link]
	r.known[link] = subnet
	return announced
}

// linkState is what a look reads of a link: not its counters, which are always new, nor the messages of AF_BRIDGE that a
// bridge sends for each of its ports. object is "" for those.
func linkState(data []byte) (object, state string) {
	if len(data) < unix.SizeofIfInfomsg || data[0] == unix.AF_BRIDGE {
		return "", ""
	}
	object = string(data[4:8]) // the index
	state = string(data[8:12]) // the flags
	for kind, value := range nlmsg.Value(data[unix.SizeofIfInfomsg:]).Attributes() {
		switch kind {
		case unix.IFLA_IFNAME, unix.IFLA_MTU, unix.IFLA_ADDRESS:
			state += fmt.Sprintf("|%d %x", kind, value)
		case unix.IFLA_LINKINFO:
			tunnel := false
			for kind, value := range value.Attributes() {
				tunnel = tunnel || kind == unix.IFLA_INFO_KIND && value.Text() == "ip6tnl"
			}
			if tunnel { // Bridges have timers in here.
				state += fmt.Sprintf("|%d %x", kind, value)
			}
		}
	}
	return object, state
}

// addressState is an address without its lifetimes: the flags tell tentative and deprecated ones.
func addressState(data []byte) (object, state string) {
	if len(data) < unix.SizeofIfAddrmsg {
		return "", ""
	}
	object = string(data[4:8]) // the link's index
	state = fmt.Sprintf("%d %d", data[1], data[2])
	for kind, value := range nlmsg.Value(data[unix.SizeofIfAddrmsg:]).Attributes() {
		switch kind {
		case unix.IFA_ADDRESS, unix.IFA_LOCAL:
			object += fmt.Sprintf("|%d %x", kind, value)
		case unix.IFA_FLAGS:
			state += fmt.Sprintf("|%x", value)
		}
	}
	return object, state
}

// routeState is a default route of the main table, or the unreachable route that networkd adds for a delegated prefix;
// object is "" for any other.
func routeState(data []byte) (object, state string) {
	if len(data) < unix.SizeofRtMsg {
		return "", ""
	}
	length, table, protocol, kind := data[1], data[4], data[5], data[7]
	const dhcp = 16 // RTPROT_DHCP
	if !(length == 0 && table == unix.RT_TABLE_MAIN) && !(kind == unix.RTN_UNREACHABLE && protocol == dhcp) {
		return "", ""
	}
	object = fmt.Sprintf("%d %d %d", data[0], length, kind)
	state = string(data[5:8])
	for kind, value := range nlmsg.Value(data[unix.SizeofRtMsg:]).Attributes() {
		switch kind {
		case unix.RTA_DST, unix.RTA_PRIORITY:
			object += fmt.Sprintf("|%d %x", kind, value)
		case unix.RTA_OIF, unix.RTA_GATEWAY, unix.RTA_MULTIPATH, unix.RTA_METRICS:
			state += fmt.Sprintf("|%d %x", kind, value)
		}
	}
	return object, state
}
