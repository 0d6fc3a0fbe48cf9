package translator_test

import (
	"net/netip"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/translator"
)

// TestLive reads the constants of a loaded program back, and what it counted.
func TestLive(t *testing.T) {
	hosttest.NeedRoot(t)
	offset := jool
	offset.PSID, offset.PSIDLen, offset.PSIDOffset, offset.DMR = 52, 8, 6, netip.MustParsePrefix("2001:db8:ffff::/64")
	place := translator.Place{WAN: 3, Tunnel: 70000, WANHeader: 14, TunnelHeader: 14}
	for _, tr := range []translator.Translator{jool, offset} {
		p, err := translator.Load(tr, place)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		b := newBench(p)
		b.run(t, p.Out46, 0x0800, hosttest.UdpTo(ours, port, theirs, 53, ""))
		b.run(t, p.In64, 0x86dd, ipv6(from(theirs, tr), tr.CE, 17, nil, 17, udpBody(53, 80, "")))
		info, err := p.In64.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		got, at, counts, err := translator.Live(uint32(id))
		if err != nil || got != tr || at != place || counts[0][translator.Translated] != 1 || counts[1][translator.Port] != 1 {
			t.Errorf("%+v at %+v, %v, %v; want %+v", got, at, counts, err, tr)
		}
	}
	if _, err := translator.Load(translator.Translator{}, place); err == nil {
		t.Error("the zero translator is loaded")
	}
}
