package nft

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// Not in package unix.
const (
	nftaChainFlags = 10
	nftChainBase   = 1
)

func (r reader) table() (Table, error) {
	t := Table{Name: r.name}
	answers, err := r.get(unix.NFT_MSG_GETTABLE, 0)
	if err != nil || len(answers) == 0 {
		return t, err
	}
	t.Comment = comment(answers[0].Get(nftaTableUserdata))
	if flags := answers[0].Get(unix.NFTA_TABLE_FLAGS).Number(); flags != 0 {
		t.Foreign = append(t.Foreign, fmt.Sprintf("# table flags 0x%x", flags))
	}
	for _, read := range []func(*Table) error{r.sets, r.chains, r.others} {
		if err := read(&t); err != nil {
			return t, err
		}
	}
	if t.absent() {
		t.Foreign = []string{"# empty"}
	}
	return t, nil
}

func (r reader) chains(t *Table) error {
	// The kernel does not filter this dump.
	answers, err := r.get(unix.NFT_MSG_GETCHAIN, netlink.Dump)
	for _, a := range answers {
		if a.Get(unix.NFTA_CHAIN_TABLE).Text() != r.name {
			continue
		}
		c := Chain{Name: a.Get(unix.NFTA_CHAIN_NAME).Text(), Type: nftables.ChainType(a.Get(unix.NFTA_CHAIN_TYPE).Text())}
		if flags := a.Get(nftaChainFlags).Number() &^ nftChainBase; flags != 0 {
			t.Foreign = append(t.Foreign, fmt.Sprintf("# chain %s flags 0x%x", c.Name, flags))
		}
		if c.Type != "" {
			hook := a.Get(unix.NFTA_CHAIN_HOOK)
			c.Hook = nftables.ChainHook(hook.Get(unix.NFTA_HOOK_HOOKNUM).Number())
			c.Priority = int32(hook.Get(unix.NFTA_HOOK_PRIORITY).Number())
			c.Drop = a.Get(unix.NFTA_CHAIN_POLICY).Number() == uint64(nftables.ChainPolicyDrop)
		}
		if c.Rules, err = r.rules(c.Name); err != nil {
			return err
		}
		t.Chains = append(t.Chains, c)
	}
	return err
}

func (r reader) rules(chain string) ([]Rule, error) {
	if r.outline {
		return nil, nil
	}
	answers, err := r.get(unix.NFT_MSG_GETRULE, netlink.Dump, chain)
	if err != nil {
		return nil, err
	}
	var rules []Rule
	for _, a := range answers {
		rule := Rule{}
		for _, b := range a.Get(unix.NFTA_RULE_EXPRESSIONS).Attributes() {
			rule = append(rule, expression(b))
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// others reads timeouts, and as foreign what a Table cannot hold.
func (r reader) others(t *Table) error {
	for _, kind := range []struct {
		name    string
		message uint16
	}{{"object", unix.NFT_MSG_GETOBJ}, {"flowtable", unix.NFT_MSG_GETFLOWTABLE}} {
		answers, err := r.get(kind.message, netlink.Dump)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if a.Get(1).Text() != r.name {
				continue
			}
			if o, ok := timeout(a); ok && kind.message == unix.NFT_MSG_GETOBJ {
				t.Timeouts = append(t.Timeouts, o)
			} else {
				t.Foreign = append(t.Foreign, fmt.Sprintf("# %s %s", kind.name, a.Get(2).Text()))
			}
		}
	}
	slices.Sort(t.Foreign)
	return nil
}

func (r reader) sets(t *Table) error {
	answers, err := r.get(unix.NFT_MSG_GETSET, netlink.Dump)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Get(unix.NFTA_SET_TABLE).Text() != r.name {
			continue
		}
		flags := uint32(a.Get(unix.NFTA_SET_FLAGS).Number())
		if r.outline && flags&unix.NFT_SET_ANONYMOUS != 0 {
			continue // goes with its rule
		}
		s := Set{
			Name:    a.Get(unix.NFTA_SET_NAME).Text(),
			Key:     datatype(a.Get(unix.NFTA_SET_KEY_TYPE).Number(), a.Get(unix.NFTA_SET_KEY_LEN).Number()),
			Dynamic: flags&unix.NFT_SET_EVAL != 0 && flags&unix.NFT_SET_MAP == 0,
			Ranges:  flags&unix.NFT_SET_INTERVAL != 0,
		}
		timeout := time.Duration(a.Get(unix.NFTA_SET_TIMEOUT).Number()) * time.Millisecond
		if s.Dynamic {
			// What is in it is what happens now, not what it is.
			flags &^= unix.NFT_SET_EVAL | unix.NFT_SET_TIMEOUT | nftables.NFT_SET_CONCAT
			s.Timeout, timeout = timeout, 0
		}
		s.Foreign = setFlags(flags&^unix.NFT_SET_INTERVAL, timeout)
		if flags&unix.NFT_SET_MAP != 0 {
			s.Value = datatype(a.Get(unix.NFTA_SET_DATA_TYPE).Number(), a.Get(unix.NFTA_SET_DATA_LEN).Number())
		}
		if !s.Dynamic {
			if s.Elements, err = r.elements(s.Name); err != nil {
				return err
			}
		}
		if s.Ranges {
			s.Elements = joined(s.Elements)
		}
		s.sort()
		t.Sets = append(t.Sets, s)
	}
	return nil
}

func datatype(magic, length uint64) nftables.SetDatatype {
	var parts []nftables.SetDatatype
	for m := magic; m != 0; m >>= nftables.SetConcatTypeBits {
		for _, known := range []nftables.SetDatatype{nftables.TypeInetService, nftables.TypeIPAddr, nftables.TypeInetProto} {
			if uint64(known.GetNFTMagic()) == m&(1<<nftables.SetConcatTypeBits-1) {
				parts = append([]nftables.SetDatatype{known}, parts...)
			}
		}
	}
	if len(parts) > 0 {
		known := parts[0]
		if len(parts) > 1 {
			known = nftables.MustConcatSetType(parts...)
		}
		if uint64(known.GetNFTMagic()) == magic && uint64(known.Bytes) == length {
			return known
		}
	}
	t := nftables.SetDatatype{Bytes: uint32(length)}
	t.SetNFTMagic(uint32(magic))
	return t
}

func (r reader) elements(set string) ([]Element, error) {
	if r.outline || r.rulesOnly && !slices.Contains(r.with, set) {
		return nil, nil
	}
	answers, err := r.get(unix.NFT_MSG_GETSETELEM, netlink.Dump, set)
	if err != nil {
		return nil, err
	}
	var elements []Element
	for _, a := range answers {
		for _, b := range a.Get(unix.NFTA_SET_ELEM_LIST_ELEMENTS).Attributes() {
			elements = append(elements, decodeElement(b))
		}
	}
	return elements, nil
}

// expression decodes the expressions that rules of this package consist of, and keeps others as the kernel's bytes: the
// library's decoder omits those that it does not know, and they would not show.
func expression(a nlmsg.Value) (e expr.Any) {
	name, data := a.Get(unix.NFTA_EXPR_NAME).Text(), a.Get(unix.NFTA_EXPR_DATA)
	raw := unknown{name: name, data: data}
	defer func() {
		if recover() != nil { // The library reads what a short attribute does not have.
			e = raw
		}
	}()
	if e = newExpression(name, data); e == nil || expr.Unmarshal(unix.NFPROTO_IPV4, data, e) != nil {
		return raw
	}
	return e
}
