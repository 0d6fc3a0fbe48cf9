package translator_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"os"
	"testing"

	"mape-netplan/reconcile/translator"
)

// A vector is a packet as one end has it and as the other end gets it; without an output it does not arrive.
type vector struct {
	Name, Direction, Note, Input string
	Output                       *string
	DMR                          netip.Prefix
	CE4, CE6                     netip.Addr
}

// vectors are those of testdata: RFC 6052's tables, and packets of the network in Jool's MAP-T tutorial whose checksums were
// computed from the whole packet.
func vectors(t testing.TB) (all struct {
	RFC6052 []struct {
		Prefix     netip.Prefix
		IPv4, IPv6 netip.Addr
	}
	Packets []vector
}) {
	b, err := os.ReadFile("testdata/packets.json")
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil || len(all.Packets) < 26 || len(all.RFC6052) < 8 {
		t.Fatalf("%d and %d vectors, %v", len(all.RFC6052), len(all.Packets), err)
	}
	return all
}

func (v vector) translator() translator.Translator {
	return translator.Translator{CE: v.CE6, IPv4: v.CE4, DMR: v.DMR, PSID: 27, PSIDLen: 5, MTU: 1500}
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t).Packets {
		tr := v.translator()
		if err := tr.Check(); err != nil {
			t.Fatal(err)
		}
		in := unhex(t, v.Input)
		before := bytes.Clone(in)
		var got []byte
		var verdict translator.Verdict
		if v.Direction == "out" {
			got, verdict = tr.Out(in)
		} else {
			got, verdict = tr.In(in, 0)
		}
		var want []byte
		if v.Output != nil {
			want = unhex(t, *v.Output)
		}
		if !bytes.Equal(got, want) || (verdict == translator.Translated) != (want != nil) {
			t.Errorf("%s, DMR %s: %v\n%x, want\n%x", v.Name, v.DMR, verdict, got, want)
		}
		if !bytes.Equal(in, before) {
			t.Errorf("%s: the packet itself was changed", v.Name)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEmbed(t *testing.T) {
	for _, v := range vectors(t).RFC6052 {
		if got := translator.Embed(v.Prefix, v.IPv4); got != v.IPv6 {
			t.Errorf("%s in %s is %s, want %s", v.IPv4, v.Prefix, got, v.IPv6)
		}
		if got, ok := translator.Extract(v.Prefix, v.IPv6); !ok || got != v.IPv4 {
			t.Errorf("%s of %s is %s, want %s", v.IPv6, v.Prefix, got, v.IPv4)
		}
	}
	for _, a := range []string{"2001:db8:122:344:1c0:2:2100::", "2001:db8:122:345:c0:2:2100::"} {
		if got, ok := translator.Extract(netip.MustParsePrefix("2001:db8:122:344::/64"), netip.MustParseAddr(a)); ok {
			t.Errorf("%s embeds %s", a, got)
		}
	}
}
