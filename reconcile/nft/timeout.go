package nft

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// A Timeout is a stateful object of the kind "ct timeout": how long a connection that a rule attached it to may be idle in
// each of its states. When it is deleted, connections have the kernel's timeouts again.
type Timeout struct {
	Name     string
	Protocol byte     // TCP or UDP
	Seconds  []uint32 // by state, in the kernel's order: tcpStates, udpStates
}

// The states that a Timeout has, in the order of the kernel's attributes (uapi/linux/netfilter/nfnetlink_cttimeout.h).
var (
	tcpStates = []string{"syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack", "time_wait", "close",
		"syn_sent2", "retrans", "unack"}
	udpStates = []string{"unreplied", "replied"}
)

// TCPTimeout is for TCP. Transitory is every state in which the connection is half open or half closed (RFC 5382,
// section 5). Neither end keeps a connection that was reset: its port is free after 2 s, not the kernel's 10.
func TCPTimeout(name string, established, transitory, timeWait time.Duration) Timeout {
	t := Timeout{Name: name, Protocol: unix.IPPROTO_TCP}
	for _, state := range tcpStates {
		d := transitory
		switch state {
		case "established":
			d = established
		case "time_wait":
			d = timeWait
		case "close":
			d = 2 * time.Second
		case "retrans", "unack":
			d = max(transitory, 5*time.Minute) // the kernel's, for a peer that does not answer any more
		}
		t.Seconds = append(t.Seconds, uint32(d/time.Second))
	}
	return t
}

// UDPTimeout is for UDP: unreplied until packets went both ways for two seconds, replied from then on.
func UDPTimeout(name string, unreplied, replied time.Duration) Timeout {
	return Timeout{Name: name, Protocol: unix.IPPROTO_UDP, Seconds: []uint32{uint32(unreplied / time.Second), uint32(replied / time.Second)}}
}

// SetTimeout gives a new connection the Timeout of that name.
func SetTimeout(name string) []expr.Any {
	return []expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_CT_TIMEOUT, Name: name}}
}

func (t Timeout) states() []string {
	if t.Protocol == unix.IPPROTO_UDP {
		return udpStates
	}
	return tcpStates
}

func (t Timeout) write(b *strings.Builder) {
	fmt.Fprintf(b, "\tct timeout %s {\n\t\tprotocol %s\n\t\tl3proto ip\n", t.Name, protocols[t.Protocol])
	var policy []string
	for i, state := range t.states() {
		policy = append(policy, fmt.Sprintf("%s : %ds", state, t.Seconds[i]))
	}
	fmt.Fprintf(b, "\t\tpolicy = { %s }\n\t}\n", strings.Join(policy, ", "))
}

func (t Timeout) equal(u Timeout) bool {
	return t.Name == u.Name && t.Protocol == u.Protocol && slices.Equal(t.Seconds, u.Seconds)
}

func (t Timeout) object(table *nftables.Table) *nftables.NamedObj {
	policy := expr.CtStatePolicyTimeout{}
	for i, s := range t.Seconds {
		policy[uint16(i)] = s
	}
	return &nftables.NamedObj{
		Table: table, Name: t.Name, Type: nftables.ObjTypeCtTimeout,
		Obj: &expr.CtTimeout{L3Proto: unix.NFPROTO_IPV4, L4Proto: t.Protocol, Policy: policy},
	}
}

// timeout decodes an object; ok is false for one that a Timeout cannot hold.
func timeout(a nlmsg.Value) (t Timeout, ok bool) {
	data := a.Get(unix.NFTA_OBJ_DATA)
	protocol := data.Get(expr.NFTA_CT_TIMEOUT_L4PROTO).Number()
	if a.Get(unix.NFTA_OBJ_TYPE).Number() != unix.NFT_OBJECT_CT_TIMEOUT || data.Get(expr.NFTA_CT_TIMEOUT_L3PROTO).Number() != unix.NFPROTO_IPV4 ||
		protocol != unix.IPPROTO_TCP && protocol != unix.IPPROTO_UDP {
		return t, false
	}
	t = Timeout{Name: a.Get(unix.NFTA_OBJ_NAME).Text(), Protocol: byte(protocol)}
	policy, states := data.Get(expr.NFTA_CT_TIMEOUT_DATA), 0
	for range policy.Attributes() {
		states++
	}
	for i := range t.states() {
		t.Seconds = append(t.Seconds, uint32(policy.Get(uint16(i+1)).Number()))
	}
	return t, states == len(t.Seconds)
}
