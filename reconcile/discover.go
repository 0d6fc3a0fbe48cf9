package reconcile

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/schema"
)

// An Asker asks a line for its rules (HB46PP).
type Asker struct {
	*Host
	Client hb46pp.Client // what it leaves open is found out
	Store
}

// Discover asks the line for its rules, whether that is due or not, keeps what
// it says and returns it. It takes up to half a minute. That the line does not
// answer is no error but in what is returned; an error is one of this machine,
// or that ctx ended.
func (a *Asker) Discover(ctx context.Context, c *schema.Config, l Line, f Facts) (*Discovery, error) {
	wan := l.WAN
	now := time.Now()
	client := a.client(wan)
	if len(client.Servers) == 0 {
		return a.remember(a.Host, f.Discovered.unasked(c, f, wan, now))
	}
	question := hb46pp.Question{Identity: hb46pp.Self(programVersion()), Credentials: credentials(c)}
	if f.Discovered != nil {
		question.Token = f.Discovered.token
	}
	answer, err := client.Ask(ctx, question)
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done() // A socket may have been a moment faster to give up.
	}
	var failure *hb46pp.Failure
	switch {
	case ctx.Err() != nil: // Who gives up has learnt nothing of the line.
		return nil, context.Cause(ctx)
	case err != nil && !errors.As(err, &failure):
		return nil, err
	}
	d := f.Discovered.after(answer, failure, now, rand.Float64)
	d.Prefixes, d.user, d.server = linePrefixes(wan, f), question.User, question.Server
	return a.remember(a.Host, d)
}

// unasked is what is known where there is nobody to ask: the resolver comes
// with a router advertisement, or a moment later.
func (d *Discovery) unasked(c *schema.Config, f Facts, wan Link, now time.Time) *Discovery {
	next := new(Discovery)
	if d != nil {
		*next = *d
	}
	next.Problem = "no IPv6 resolver of " + wan.Name + " is known, neither to networkd nor in /etc/resolv.conf: only the line's own one knows its rules"
	next.Asked, next.Next, next.Prefixes = now, now.Add(5*time.Second), linePrefixes(wan, f)
	next.user, next.server = credentials(c).User, credentials(c).Server
	return next
}

// asksNow says whether the line is to be asked at once.
func asksNow(c *schema.Config, l Line, f Facts) bool {
	now := time.Now()
	next := NextDiscovery(c, l, f, now)
	return !next.IsZero() && !next.After(now)
}

// inform asks the line where that is due, and returns the facts with what it
// says.
func (a *Asker) inform(ctx context.Context, c *schema.Config, l Line, f Facts) (Facts, error) {
	if !asksNow(c, l, f) {
		return f, nil
	}
	d, err := a.Discover(ctx, c, l, f)
	if err == nil {
		f.Discovered = d
	}
	return f, err
}

// client is the Client with what it leaves to be found out.
func (a *Asker) client(wan Link) hb46pp.Client {
	c := a.Client
	if c.Servers == nil {
		c.Servers = a.Host.resolvers(wan)
	}
	if c.Interface == "" {
		c.Interface = wan.Name
	}
	if c.Limits == (hb46pp.Limits{}) {
		c.Limits = hb46pp.DefaultLimits
	}
	return c
}

// mostResolvers bounds how long an outage of all of them is looked at.
const mostResolvers = 4

// Resolvers are those that networkd has for a link (DNS= of its state file:
// configured ones, then DHCP's, then those of router advertisements).
// systemd-resolved's is not among them: it may ask another link's.
func (h *Host) Resolvers(l Link) []netip.AddrPort {
	told, _ := h.linkState(l.Index, "DNS")
	return resolversOf(strings.Fields(told), l.Name)
}

// resolvers are the line's own, which are asked over IPv6: networkd's for the
// WAN, or where it has none, those of resolv.conf.
func (h *Host) resolvers(wan Link) []netip.AddrPort {
	over6 := func(all []netip.AddrPort) []netip.AddrPort {
		return slices.DeleteFunc(all, func(a netip.AddrPort) bool { return a.Addr().Is4() })
	}
	all := over6(h.Resolvers(wan))
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		if len(all) > 0 {
			break
		}
		data, _ := h.readFile(file)
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" {
				all = append(all, over6(resolversOf(fields[1:2], wan.Name))...)
			}
		}
	}
	return all[:min(len(all), mostResolvers)]
}

// resolversOf reads addresses as networkd and resolv.conf have them:
// "2001:db8::1", "fe80::1%2", "[2001:db8::1]:53%2#name". None of this machine is
// one.
func resolversOf(words []string, link string) []netip.AddrPort {
	var all []netip.AddrPort
	for _, word := range words {
		word, _, _ = strings.Cut(word, "#")
		if bracket, port, ok := strings.Cut(word, "]"); ok {
			port, _, _ = strings.Cut(port, "%")
			word = bracket + "]" + port
		}
		server, err := netip.ParseAddrPort(word)
		if err != nil {
			address, err := netip.ParseAddr(word)
			if err != nil {
				continue
			}
			server = netip.AddrPortFrom(address, 53)
		}
		a := server.Addr()
		if a.Is4In6() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() {
			continue
		}
		if a.IsLinkLocalUnicast() {
			server = netip.AddrPortFrom(a.WithZone(link), server.Port())
		}
		if !slices.Contains(all, server) {
			all = append(all, server)
		}
	}
	return all
}

func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}
