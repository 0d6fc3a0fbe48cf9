package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"mape-netplan/reconcile/translator"
)

// translator is that of a border relay, for one CE: which addresses and ports are the CE's is for the judge to say.
func (j Judge) translator() translator.Translator {
	return translator.Translator{CE: j.CE, IPv4: j.IPv4.Addr(), DMR: j.DMR, MTU: 1500}
}

// translated judges a whole IPv6 packet that has no other packet inside. What is for the internet has an address of the DMR.
func (j Judge) translated(v Verdict, src, dst netip.Addr, p []byte) Verdict {
	if !j.DMR.Contains(dst) {
		return Verdict{}
	}
	v.Tunnel = true
	packet, said := j.translator().FromCE(p, uint16(rand.Uint32()))
	switch {
	case v.DstOpt:
		v.Reason = "destination options header on a packet that is to be translated"
	case src != j.CE:
		v.Reason = fmt.Sprintf("outer source %s, want %s", src, j.CE)
	case said != translator.Translated:
		v.Reason = "not to be translated: " + said.String()
	default:
		j.inner(&v, packet)
	}
	return v
}

// toIPv6 is what an IPv4 packet for the CE is on the line.
func (j Judge) toIPv6(p []byte) ([]byte, error) {
	packet, said := j.translator().ToCE(p)
	if said != translator.Translated {
		return nil, errors.New("not to be translated: " + said.String())
	}
	return packet, nil
}
