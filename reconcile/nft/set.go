package nft

import (
	"bytes"
	"cmp"
	"fmt"
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
	// Dynamic: rules fill it, with keys of several parts. Its elements are not part of its state then.
	Dynamic bool
	Timeout time.Duration // of a dynamic set's elements; 0: they stay

	// Foreign is what the kernel's set has beyond this: flags, timeouts, statements.
	Foreign string
}

// An Element is a key and, in a map, its value, in network byte order.
type Element struct {
	Key, Value []byte

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
	b.WriteString("\t\telements = {\n")
	for i := 0; i < len(s.Elements); {
		n := s.run(i)
		fmt.Fprintf(b, "\t\t\t%s\n", s.line(s.Elements[i], s.Elements[i+n-1]))
		i += n
	}
	b.WriteString("\t\t}\n\t}\n")
}

// run returns how many elements from i on go up by one, ports to ports: they share a line.
func (s Set) run(i int) int {
	ports := func(e Element) bool { return len(e.Key) == 2 && len(e.Value) == 2 && e.Foreign == "" }
	n := 1
	for ; i+n < len(s.Elements) && ports(s.Elements[i]) && ports(s.Elements[i+n]); n++ {
		last, next := s.Elements[i+n-1], s.Elements[i+n]
		if toPort(next.Key) != toPort(last.Key)+1 || toPort(next.Value) != toPort(last.Value)+1 {
			break
		}
	}
	return n
}

func (s Set) line(first, last Element) string {
	text := func(t nftables.SetDatatype, first, last []byte) string {
		if bytes.Equal(first, last) {
			return valueText(t, first)
		}
		return valueText(t, first) + "-" + valueText(t, last)
	}
	line := text(s.Key, first.Key, last.Key)
	if first.Value != nil {
		line += " : " + text(s.Value, first.Value, last.Value)
	}
	if first.Foreign != "" {
		line += " " + first.Foreign
	}
	return line + ","
}

func valueText(t nftables.SetDatatype, b []byte) string {
	switch {
	case t.GetNFTMagic() == nftables.TypeInetService.GetNFTMagic() && len(b) == 2:
		return portText(b)
	case t.GetNFTMagic() == nftables.TypeIPAddr.GetNFTMagic() && len(b) == 4:
		return addressText(b)
	}
	return hex(b)
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
