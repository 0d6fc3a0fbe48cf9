package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// An Aim is the desired state that a section and a machine lead to: a gateway, or why there can be none, and the line that
// it comes from. Commands and the service take it from [Resolve] alike, so that status, plan, ports and doctor say what
// the service does.
type Aim struct {
	// Line is the line as far as it could be found.
	Line line.Line
	// Gateway is what the machine is to be; nil for none. With Err it is the gateway of the last line or of the last
	// section, which is held until the line is there.
	Gateway *Gateway
	// Err is why the section makes no gateway of the line: of type schema.Problems where the section is to be changed,
	// ErrNotYet where it may pass, ErrWithdrawn where the tunnel is to go.
	Err error
	// Notices are warnings of the machine that need no gateway.
	Notices []string
	// Refused: Err is that something other than networkd configures the machine, and nothing on it is to be touched.
	Refused bool
}

// Resolve finds the line of a section, once, and fits it to the machine. A section that cannot be followed, or would make
// the gateway worse that the last one has made, does not replace that.
func Resolve(c *schema.Config, f facts.Facts) Aim {
	l, err := line.Find(c, f)
	return resolve(c, f, l, err).orLast(c, f)
}

// resolve is for a line that was found, with the error of that.
func resolve(c *schema.Config, f facts.Facts, found line.Line, err error) Aim {
	// First, because no router advertisement changes that.
	if wrong := checkManager(c, found, f); wrong != nil {
		return Aim{Line: found, Err: wrong, Refused: true}
	}
	aim := Aim{Line: found, Err: err, Notices: notices(f)}
	if err == nil {
		aim.Gateway, aim.Err = Fit(c, found, f)
		return aim
	}
	if aim.Waits() {
		if last, known, e := line.Recall(c, f); known && e == nil {
			if g, e := Fit(c, last, f); e == nil {
				aim.Gateway = g
			}
		}
	}
	return aim
}

// orLast returns a, or the gateway of the last good section if this section's line lacks something (a router, a prefix) that
// the last one has: WAN and LAN that were swapped, or another line's prefix, must not end what works. Err then says what is
// missing, and the gateway is held until it is there; a prefix that the section wants delegated is requested meanwhile.
func (a Aim) orLast(c *schema.Config, f facts.Facts) Aim {
	why := a.Err
	if why == nil {
		why = a.Gateway.lacks(f)
	}
	if why == nil || f.Owned.Proven == nil || errors.Is(why, discovery.ErrWithdrawn) {
		return a
	}
	l, err := line.Suppose(f.Owned.Proven, f)
	last := resolve(f.Owned.Proven, f, l, err)
	if last.Gateway == nil {
		return a
	}
	if g := a.Gateway; g != nil && g.WAN.Name == last.Gateway.WAN.Name {
		// The same WAN, where the line may be away for both.
		if a.Err != nil || last.Err != nil || last.Gateway.lacks(f) != nil {
			return a
		}
	}
	a.Gateway, a.Err = last.Gateway, why
	a.Gateway.request(c, a.Line, f)
	return a
}

// Withdrawn lists what is wanted of a machine whose line has withdrawn its service: no gateway. What the line said and the
// request for its prefix stay, because it will be asked again. compile is [Compile] in some order.
func Withdrawn(c *schema.Config, l line.Line, f facts.Facts, compile func(*Gateway, facts.Facts) []engine.Resource) []engine.Resource {
	f.Discovered, f.FarEnds, f.Announced = nil, nil, nil
	want := compile(nil, f)
	f.Owned.Addresses = nil // The request is without the CE address.
	requests, _ := PrefixRequest(c, l, f)
	for _, request := range requests {
		want = slices.DeleteFunc(want, func(r engine.Resource) bool { return r.Name() == request.Name() })
	}
	return append(want, requests...)
}

// Proven reports whether the section makes a gateway whose line is there, as far as that can be told.
func (a Aim) Proven(f facts.Facts) bool { return a.Err == nil && a.Gateway.lacks(f) == nil }

// lacks is what the line of a gateway lacks, as far as it can be told from the machine: a router, or a prefix that the CE
// address is in.
func (g *Gateway) lacks(f facts.Facts) error {
	wan, ce := g.WAN, g.Softwire.CE()
	theirs := wan
	theirs.Addresses = slices.DeleteFunc(slices.Clone(wan.Addresses), func(a kernel.Inet) bool { return f.Owned.Has(wan.Name, a.Prefix.Addr()) })
	switch {
	case !f.Live:
		return nil
	case wan.Default6 == nil:
		return line.NotYet{Why: fmt.Errorf("%s has no IPv6 default route: no router announces itself there", wan.Name)}
	case !line.OnLine(theirs, ce) && !line.DelegatedFrom(f, ce):
		return line.NotYet{Why: fmt.Errorf("no address of %s is in %s, where the CE address is", wan.Name, line.HomeOf(ce))}
	}
	return nil
}

// Waits reports whether the line lacks something that may come by itself.
func (a Aim) Waits() bool {
	return errors.Is(a.Err, line.ErrNotYet) && !errors.Is(a.Err, discovery.ErrWithdrawn)
}

// Bad reports whether the section has to be changed.
func (a Aim) Bad() bool { return errors.As(a.Err, new(schema.Problems)) }

// Held reports whether the gateway is that of the last line or of the last section.
func (a Aim) Held() bool { return a.Err != nil && a.Gateway != nil }

// Why is why the gateway is held; "" where it is not.
func (a Aim) Why() string {
	if !a.Held() {
		return ""
	}
	if a.Bad() {
		return fmt.Sprintf("%s\nuntil the section is changed, the last good one stays in force: %s", strings.TrimSpace(a.Err.Error()), a.Gateway)
	}
	return fmt.Sprintf("waiting: %v; until then the last line is held: %s", a.Err, a.Gateway)
}

// Warnings are about what is legal and probably not meant, or keeps the gateway from working although it is in sync.
func (a Aim) Warnings() []string {
	if a.Gateway == nil {
		return a.Notices
	}
	return slices.Concat(a.Notices, a.Gateway.AllWarnings())
}

// AllWarnings are the gateway's own and those of the rules that obstruct it.
func (g *Gateway) AllWarnings() []string {
	all := slices.Clone(g.Warnings)
	for _, o := range g.Obstructed {
		all = append(all, o.String())
	}
	return all
}

// Off are the forwards that are switched off and why: a port outside the port set, or the shared address as target.
func (a Aim) Off() schema.Problems {
	if a.Gateway == nil {
		return nil
	}
	return a.Gateway.Off
}

// Current is the line that the machine is on or holds, with the forwards that work on it and why others do not. Its
// softwire is the zero value where neither is known.
func (a Aim) Current(c *schema.Config) (l line.Line, on []schema.Forward, off schema.Problems) {
	if a.Gateway != nil {
		return a.Gateway.Line, a.Gateway.Forwards, a.Gateway.Off
	}
	on, off = line.SplitForwards(c, a.Line.Softwire)
	return a.Line, on, off
}

// OffText says of forwards that are off where they are in the section, which ports are free and what becomes of them.
func OffText(off schema.Problems) string {
	if len(off) == 0 {
		return ""
	}
	return strings.TrimSpace(off.Error()) + "\nuntil the section is changed, the gateway works without that forward"
}

// Remembered is the gateway of the remembered line, as far as the table of nftables depends on it: no interface but the
// tunnel is known. The error is why there is none.
func Remembered(c *schema.Config, f facts.Facts) (*Gateway, error) {
	l, known, err := line.Recall(c, facts.Facts{Owned: f.Owned, Discovered: f.Discovered, FarEnds: f.FarEnds})
	if !known {
		return nil, line.NotYet{Why: ErrNoMemory}
	}
	if err != nil {
		return nil, err
	}
	return gatewayOn(c, l, rememberedMTU(c, l.Softwire, f.Owned))
}
