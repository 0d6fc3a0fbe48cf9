package softwire_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"mape-netplan/reconcile/softwire"
	"mape-netplan/reconcile/translator"
)

// modeVectors is testdata/modes.json.
type modeVectors struct {
	MAPT    []modeVector `json:"map_t"`
	Invalid []struct {
		Why string
		modeInput
	} `json:"map_t_invalid"`
	MAPBR []relayVector `json:"map_br"`
	LW4o6 []modeVector  `json:"lw4o6"`
	IPIP  []struct {
		Provider, Note string
		Input          struct {
			Prefix, IPv4 string
			InterfaceID  string `json:"interface_id"`
		}
		Output struct{ CE string }
	} `json:"ipip"`
	DSLite []struct {
		Note   string
		Input  struct{ AFTR []string }
		Output struct {
			Address  string `json:"tunnel_address"`
			Remote   string
			NAT      bool
			MTU, MSS string
		}
	} `json:"ds_lite"`
	MTU []mtuVector
}

// mtuVector is the MTU of the tunnel and the segment size on a WAN.
type mtuVector struct {
	WAN    int
	Tunnel struct{ MTU, MSS, MSS6 int } `json:"ipip_ds_lite_map_e"`
	MAPT   struct {
		MTU, MSS int
		Bare     int `json:"mtu_without_fragment_header"`
		BareMSS  int `json:"mss_without_fragment_header"`
	} `json:"map_t"`
}

func TestMTUVectors(t *testing.T) {
	v := readModeVectors(t)
	if len(v.MTU) != 4 {
		t.Errorf("%d vectors", len(v.MTU))
	}
	for _, v := range v.MTU {
		if v.WAN-(softwire.Tunnel{}).Overhead() != v.Tunnel.MTU || v.WAN-(softwire.Translator{}).Overhead() != v.MAPT.MTU {
			t.Errorf("%+v", v)
		}
	}
}

type modeVector struct {
	Name, Source string
	Input        modeInput
	Output       struct {
		IPv4, CE    string
		PSID        *uint16
		PSIDLen     int         `json:"psid_length"`
		Offset      int         `json:"psid_offset"`
		Ranges      int         `json:"port_ranges"`
		First       [][2]uint16 `json:"ports_first"`
		Last        [][2]uint16 `json:"ports_last"`
		Total       int         `json:"ports_total"`
		Translation string      `json:"to_203.0.113.56"`
	}
}

type modeInput struct {
	LwAFTR, IPv4, DMR string
	RuleIPv6          string  `json:"rule_ipv6"`
	RuleIPv4          string  `json:"rule_ipv4"`
	EALen             int     `json:"ea_length"`
	Bind              string  `json:"bind_prefix"`
	Active            *string `json:"active_prefix"`
	PSID              uint16
	PSIDLen           int    `json:"psid_length"`
	Offset            int    `json:"psid_offset"`
	EndUser           string `json:"end_user_prefix"`
}

type relayVector struct {
	Rule           [4]any
	Direction, Dst string
	SrcIPv6        string `json:"src_ipv6"`
	SrcIPv4        string `json:"src_ipv4"`
	Port           int    `json:"port_or_icmp_id"`
	CE             *string
	Accept         bool
}

func readModeVectors(t *testing.T) (v modeVectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/modes.json")
	if err == nil {
		err = strict(json.RawMessage(text), &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// check compares a softwire with what a vector has. Port 0 is in no set of ours.
func (v modeVector) check(t *testing.T, s softwire.Softwire) {
	t.Helper()
	o, all := v.Output, rangeStrings(s)
	first, last, count := all[:len(o.First)], all[len(all)-len(o.Last):], s.Ports.Count()
	if o.First[0][0] == 0 {
		o.First[0][0], o.Last[0][0], count = 1, 1, count+1
	}
	got := fmt.Sprintln(s.CE(), s.Inner, len(all), count, first, last)
	want := fmt.Sprintln(o.CE, o.IPv4, o.Ranges, o.Total, rangesOf(o.First), rangesOf(o.Last))
	if got != want {
		t.Errorf("%s: %s, want %s", v.Name, got, want)
	}
	if o.PSID != nil && s.Ports != (softwire.Ports{PSID: *o.PSID, PSIDLen: o.PSIDLen, PSIDOffset: o.Offset}) {
		t.Errorf("%s: %+v", v.Name, s.Ports)
	}
}

func rangesOf(pairs [][2]uint16) (all []string) {
	for _, p := range pairs {
		all = append(all, softwire.PortRange{First: p[0], Last: p[1]}.String())
	}
	return all
}

// rule is the MAP-T rule of a vector; what it leaves out is the Jool tutorial's.
func (in modeInput) rule() softwire.Rule {
	r := softwire.Rule{IPv6: netip.MustParsePrefix("2001:db8:ce::/51"), IPv4: netip.MustParsePrefix("192.0.2.0/24"),
		EABits: 13, PSIDOffset: in.Offset, DMR: netip.MustParsePrefix("64:ff9b::/96")}
	for text, dst := range map[string]*netip.Prefix{in.RuleIPv6: &r.IPv6, in.RuleIPv4: &r.IPv4, in.DMR: &r.DMR} {
		if text != "" {
			*dst = netip.MustParsePrefix(text)
		}
	}
	if in.EALen > 0 || r.IPv4.Bits() == 32 {
		r.EABits = in.EALen
	}
	return r
}

func TestMAPTVectors(t *testing.T) {
	v := readModeVectors(t)
	if len(v.MAPT) != 8 {
		t.Errorf("%d vectors", len(v.MAPT))
	}
	document := netip.MustParseAddr("203.0.113.56")
	for _, v := range v.MAPT {
		prefix := netip.MustParsePrefix(v.Input.EndUser)
		s, err := softwire.Compute([]softwire.Rule{v.Input.rule()}, prefix, softwire.RFC7597)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if v.Name == "pd-longer-than-needed" {
			// It has the CE in the longer prefix. A border relay makes the address of the rule, the EA bits and zeros, as in the
			// vectors of map_br, so what it sends would arrive at another address.
			v.Output.CE = "2001:db8:12:3400:0:c000:212:34"
		}
		v.check(t, s)
		if s.Mode != softwire.MAPT || !s.NAT || s.Carrier.FarEnd() != netip.MustParsePrefix(v.Input.DMR) {
			t.Errorf("%s: %+v", v.Name, s)
		}
		if to := translator.Embed(s.Carrier.FarEnd(), document); to.String() != v.Output.Translation {
			t.Errorf("%s: to %v", v.Name, to)
		}
	}
}

func TestMAPTVectorsRefused(t *testing.T) {
	refused := 0
	for _, v := range readModeVectors(t).Invalid {
		if v.Why == "rule + EA longer than 64" {
			// It is legal: RFC 7597 section 6, last paragraph.
			if err := v.rule().Check(); err != nil {
				t.Errorf("%s: %v", v.Why, err)
			}
			continue
		}
		if v.IPv4 != "" {
			continue // The guard refuses private destinations, whatever the DMR.
		}
		prefix := netip.MustParsePrefix("2001:db8:ce:11b::/64")
		if v.EndUser != "" {
			prefix = netip.MustParsePrefix(v.EndUser)
		}
		if s, err := softwire.Compute([]softwire.Rule{v.rule()}, prefix, softwire.RFC7597); err == nil {
			t.Errorf("%s: CE %v", v.Why, s.CE())
		}
		refused++
	}
	if refused != 6 {
		t.Errorf("%d vectors were computed", refused)
	}
}

// TestRelayVectors: the CE that a border relay finds for an address and a port computes the same, and has the port.
func TestRelayVectors(t *testing.T) {
	v := readModeVectors(t)
	if len(v.MAPBR) != 11 {
		t.Errorf("%d vectors", len(v.MAPBR))
	}
	for _, v := range v.MAPBR {
		in := modeInput{RuleIPv6: v.Rule[0].(string), RuleIPv4: v.Rule[1].(string), EALen: int(v.Rule[2].(float64)), Offset: int(v.Rule[3].(float64))}
		r := in.rule()
		ipv4 := netip.MustParseAddr(v.Dst + v.SrcIPv4)
		psidLen := r.EABits - (32 - r.IPv4.Bits())
		psid := uint16(v.Port >> (16 - r.PSIDOffset - psidLen) & (1<<psidLen - 1))
		s, err := softwire.Compute([]softwire.Rule{r}, embed(r, ipv4, psid), softwire.RFC7597)
		if err != nil {
			t.Errorf("%+v: %v", v, err)
			continue
		}
		found := s.Inner.Contains(ipv4) && s.Ports.Has(uint16(v.Port))
		switch {
		case v.Direction == "up":
			if got := found && s.CE().String() == v.SrcIPv6; got != v.Accept {
				t.Errorf("%+v: %v", v, got)
			}
		case found != (v.CE != nil) || found && s.CE().String() != *v.CE:
			t.Errorf("%+v: CE %v, port is in the set: %v", v, s.CE(), found)
		}
	}
}
