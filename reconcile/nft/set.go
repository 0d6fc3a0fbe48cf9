package nft

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// A Set is a named set, or a map when it has a Value type.
type Set struct {
	Name       string
	Key, Value nftables.SetDatatype
	Elements   []Element
	Ranges     bool // the keys are ranges, which may be of one value
	// Dynamic: rules fill it, with keys of several parts. Its elements are not part of its state then.
	Dynamic bool
	Timeout time.Duration // of a dynamic set's elements; 0: they stay

	// Foreign is what the kernel's set has beyond this: flags, timeouts, statements.
	Foreign string
}

// PortMap is a map from port to port.
func PortMap(name string, ports map[uint16]uint16) Set {
	s := Set{Name: name, Key: nftables.TypeInetService, Value: nftables.TypeInetService}
	for from, to := range ports {
		s.Elements = append(s.Elements, Element{Key: Port(from), Value: Port(to)})
	}
	s.sort()
	return s
}

// PrefixSet is a set of addresses.
func PrefixSet(name string, prefixes ...netip.Prefix) Set {
	s := Set{Name: name, Key: nftables.TypeIPAddr, Ranges: true}
	for _, p := range prefixes {
		first, last := bounds(p)
		s.Elements = append(s.Elements, Element{Key: first, Last: last})
	}
	s.sort()
	return s
}

// HostMap is a map from ranges of ports to hosts.
func HostMap(name string, elements ...Element) Set {
	s := Set{Name: name, Key: nftables.TypeInetService, Value: nftables.TypeIPAddr, Ranges: true, Elements: elements}
	s.sort()
	return s
}

// EndpointMap is a map from ports to ports of hosts.
func EndpointMap(name string, elements ...Element) Set {
	s := Set{Name: name, Key: nftables.TypeInetService, Value: endpoint, Elements: elements}
	s.sort()
	return s
}

var endpoint = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)

func (s Set) sort() {
	sort.Slice(s.Elements, func(i, j int) bool {
		a, b := s.Elements[i], s.Elements[j]
		return cmp.Or(bytes.Compare(a.Key, b.Key), bytes.Compare(a.Value, b.Value), cmp.Compare(a.Foreign, b.Foreign)) < 0
	})
}

func (s Set) write(b *strings.Builder) {
	kind, types := "set", typeName(s.Key)
	if s.Value != (nftables.SetDatatype{}) {
		kind, types = "map", types+" : "+typeName(s.Value)
	}
	fmt.Fprintf(b, "\t%s %s {\n\t\ttype %s\n", kind, s.Name, types)
	if s.Foreign != "" {
		fmt.Fprintf(b, "\t\t%s\n", s.Foreign)
	}
	if s.Dynamic {
		fmt.Fprintf(b, "\t\tsize %d\n\t\tflags dynamic\n", dynamicSize)
		if s.Timeout > 0 {
			fmt.Fprintf(b, "\t\ttimeout %s\n", s.Timeout)
		}
		b.WriteString("\t}\n")
		return
	}
	if s.Ranges {
		b.WriteString("\t\tflags interval\n")
	}
	b.WriteString("\t\telements = {\n")
	for i := 0; i < len(s.Elements); {
		n := s.run(i)
		fmt.Fprintf(b, "\t\t\t%s\n", s.line(s.Elements[i], s.Elements[i+n-1]))
		i += n
	}
	b.WriteString("\t\t}\n\t}\n")
}

func typeName(t nftables.SetDatatype) string {
	if t.Name != "" {
		return t.Name
	}
	return fmt.Sprintf("%d/%d", t.GetNFTMagic(), t.Bytes)
}

// setFlags names the flags of a set, its size and times apart from what a Set says itself.
func setFlags(flags uint32, timeout time.Duration) string {
	names := []struct {
		flag uint32
		name string
	}{
		{unix.NFT_SET_CONSTANT, "constant"}, {unix.NFT_SET_INTERVAL, "interval"}, {unix.NFT_SET_TIMEOUT, "timeout"},
		{unix.NFT_SET_EVAL, "dynamic"}, {unix.NFT_SET_OBJECT, "object"}, {unix.NFT_SET_ANONYMOUS, "anonymous"},
	}
	var words []string
	for _, n := range names {
		if flags&n.flag != 0 {
			words = append(words, n.name)
			flags &^= n.flag
		}
	}
	if flags &^= unix.NFT_SET_MAP; flags != 0 {
		words = append(words, fmt.Sprintf("0x%x", flags))
	}
	line := ""
	if len(words) > 0 {
		line = "flags " + strings.Join(words, ",")
	}
	if timeout != 0 {
		line = strings.TrimSpace(line + fmt.Sprintf(" timeout %s", timeout))
	}
	return line
}

// dynamicSize is how many keys a dynamic set may have at most: with more, new ones are left out.
const dynamicSize = 65535
