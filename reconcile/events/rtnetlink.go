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

// routeEvents are the messages of rtnetlink about links, addresses, default
// routes and the parameters of interfaces. A router advertisement repeats much
// of it with new lifetimes every few seconds, which is nothing new; and the
// routes of a routing daemon, hundreds of thousands, are nobody's business here.
type routeEvents struct {
	*Listener
	known  map[string]string // what is known of an object, by what tells it from others
	routes map[string]string // likewise of routes
}

func newRouteEvents(e *Listener) routeEvents {
	return routeEvents{Listener: e, known: map[string]string{}, routes: map[string]string{}}
}

// forget forgets what is known, when messages were lost.
func (r routeEvents) forget() {
	clear(r.known)
	clear(r.routes)
}

func (r routeEvents) hear(m netlink.Message) {
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
	case unix.RTM_NEWNETCONF:
		r.Awake()
		return
	case unix.RTM_NEWTFILTER, unix.RTM_DELTFILTER, unix.RTM_DELQDISC:
		r.hearFilter(m)
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
		if before, ok := known[object]; ok && before == state && !(kind == engine.AddressEvent && r.another(m.Data)) {
			return
		}
		known[object] = state
	}
	r.flush(m)
	if kind == engine.AddressEvent && r.isBystander(binary.NativeEndian.Uint32(m.Data[4:])) {
		tell(r.Murmur)
		return
	}
	if pid := int(m.Header.PID); !own(pid) {
		r.blame(kind, pid, "")
	}
	r.Awake()
}

// hearFilter wakes for the tunnel's filter, and for a clsact, with which all of
// its filters go without a message of their own. A filter is not told of again
// unless somebody writes it.
func (r routeEvents) hearFilter(m netlink.Message) {
	clsact := m.Header.Type == unix.RTM_DELQDISC && len(m.Data) >= nl.SizeofTcMsg &&
		binary.NativeEndian.Uint32(m.Data[12:]) == vishvananda.HANDLE_CLSACT
	if !clsact && !kernel.IsEgress(m.Data) {
		return
	}
	if pid := int(m.Header.PID); !own(pid) {
		r.blame(engine.FilterEvent, pid, "")
	}
	r.Awake()
}

// flush forgets what went without a message of its own: the kernel deletes
// routes with their link, and those of IPv4 with their link's address as well,
// and says nothing of them (measured on 6.18). Where one is there again,
// that is news.
func (r routeEvents) flush(m netlink.Message) {
	switch m.Header.Type {
	case unix.RTM_DELLINK:
		delete(r.known, lastOn(m.Data))
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

// lastOn is by what is known which subnet of a link was announced last; the
// link's index is at the same place in messages of links and of addresses.
func lastOn(data []byte) string { return "last on " + string(data[4:8]) }

// another says whether an address is of another subnet than the link's last one
// that was announced again: of two the one that goes on being announced is the
// line's.
func (r routeEvents) another(data []byte) bool {
	link, subnet := lastOn(data), ""
	for kind, value := range nlmsg.Value(data[unix.SizeofIfAddrmsg:]).Attributes() {
		if kind == unix.IFA_ADDRESS && len(value) == 16 && value[0]&0xe0 == 0x20 { // IANA: global unicast
			subnet = string(value[:8])
		}
	}
	if subnet == "" || r.known[link] == subnet {
		return false
	}
	_, told := r.known[link]
	r.known[link] = subnet
	return told
}

// linkState is what a look takes from a link. A bridge tells of each of its
// ports as well, and counters are always new.
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

// addressState is an address without its lifetimes: what matters of them the
// flags say.
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

// routeState is a default route of the main table, or the unreachable one that
// networkd makes of a delegated prefix; any other is "".
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
