package translator_test

import (
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/translator"
)

// TestCounts counts a packet that is translated, and one for another CE's port.
func TestCounts(t *testing.T) {
	b := newBench(load(t, jool))
	b.run(t, b.Out46, 0x0800, hosttest.UdpTo(ours, port, theirs, 53, ""))
	b.run(t, b.In64, 0x86dd, ipv6(from(theirs, jool), jool.CE, 17, nil, 17, udpBody(53, 80, "")))
	out, in, err := b.Counts()
	if err != nil || out[translator.Translated] != 1 || in[translator.Port] != 1 || in[translator.Translated] != 0 {
		t.Errorf("out %d, in %d, %v", out, in, err)
	}
	if _, err := translator.Load(translator.Translator{}, translator.Place{}); err == nil {
		t.Error("the zero translator is loaded")
	}
}
