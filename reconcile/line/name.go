package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mape-netplan/reconcile/bind"
	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/provider/hb46pp"
)

// forgotten is after how long a name that is not asked for any more is forgotten. Until then the section may come back.
const forgotten = 30 * 24 * time.Hour

// nextName is when the line's resolvers are to be asked for the far end, as [NextDiscovery]: when their last answer
// expires and when the WAN's addresses change.
func nextName(l Line, f facts.Facts, now time.Time) time.Time {
	if l.NoWAN != nil || !f.Live || l.FarEnd == "" {
		return time.Time{}
	}
	n, asked := f.FarEnds[discovery.Fold(l.FarEnd)]
	switch prefixes := linePrefixes(l.WAN, f); {
	case len(prefixes) == 0:
		return time.Time{}
	case !asked || n.Asked.After(now): // The clock was set back.
		return now
	case !slices.Equal(prefixes, n.Prefixes):
		return n.Asked.Add(DiscoveryPause)
	}
	return n.Next
}

// resolve asks the line's resolvers for the far end and keeps the answer. An error is one of this machine, or the cause of
// the end of ctx.
func (a *Asker) resolve(ctx context.Context, l Line, f facts.Facts, silent bool) error {
	name := discovery.Fold(l.FarEnd)
	answer, failure := a.lookup(ctx, a.client(l.WAN), name)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := time.Now()
	all := discovery.Names{}
	maps.Copy(all, f.FarEnds)
	maps.DeleteFunc(all, func(_ string, n discovery.Name) bool { return now.Sub(n.Asked) > forgotten })
	all[name] = all[name].After(answer, failure, silent, linePrefixes(l.WAN, f), now)
	a.names.Store(&all)
	return all.Keep(a.Host)
}

// LatestNames are the names that this process has asked for, or kept, which are the file's, where another process asked
// later.
func (a *Asker) LatestNames(kept discovery.Names) discovery.Names {
	if last := a.names.Load(); last != nil {
		return last.Latest(kept)
	}
	return kept
}

// lookup asks one resolver after another for a name's IPv6 addresses. It is absent only if all say so: one of them may
// belong to another network.
func (a *Asker) lookup(ctx context.Context, c hb46pp.Client, name string) (discovery.Addresses, error) {
	if len(c.Servers) == 0 {
		return discovery.Addresses{}, fmt.Errorf("no IPv6 resolver of %s is known, neither to networkd nor in /etc/resolv.conf: only the line's own one is asked for %s", c.Interface, name)
	}
	var failed error
	for _, server := range c.Servers {
		soon, cancel := context.WithTimeoutCause(ctx, c.DNS, fmt.Errorf("no answer within %v", c.DNS))
		dial := func(network string) (conn net.Conn, err error) {
			return conn, a.In(func() error {
				conn, err = bind.Dialer(c.Interface).DialContext(soon, network, server.String())
				return err
			})
		}
		answer, err := lookup(soon, dial, name)
		if err != nil && soon.Err() != nil {
			err = context.Cause(soon)
		}
		err = withoutPorts(err)
		cancel()
		if err == nil {
			answer.Server = server
			return answer, nil
		}
		if failed == nil || errors.Is(failed, discovery.ErrAbsent) && !errors.Is(err, discovery.ErrAbsent) {
			failed = fmt.Errorf("the line's resolver %v, asked for %s: %w", server.Addr(), name, err)
		}
	}
	return discovery.Addresses{}, failed
}

// withoutPorts is an error of a connection without its addresses: with another port each time it would be another problem.
func withoutPorts(err error) error {
	var e *net.OpError
	if errors.As(err, &e) && e.Op != "dial" {
		return e.Err
	}
	return err
}

// lookup asks one resolver, by TCP where its answer does not fit into a datagram. Unlike net.Resolver it tells for how long
// the answer is good.
func lookup(ctx context.Context, dial func(network string) (net.Conn, error), name string) (all discovery.Addresses, err error) {
	n, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return all, err
	}
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(rand.Uint32()), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET}},
	}
	var answer dnsmessage.Message
	for _, network := range []string{"udp", "tcp"} {
		if answer, err = exchange(ctx, dial, network, q); err != nil {
			return all, err
		}
		if !answer.Truncated {
			break
		}
	}
	switch answer.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return all, fmt.Errorf("there is no such name: %w", discovery.ErrAbsent)
	default:
		return all, fmt.Errorf("it answers %s", strings.TrimPrefix(answer.RCode.String(), "RCode"))
	}
	ttl := ^uint32(0)
	for _, r := range answer.Answers { // The aliases expire as well.
		ttl = min(ttl, r.Header.TTL)
		if b, ok := r.Body.(*dnsmessage.AAAAResource); ok {
			if a := netip.AddrFrom16(b.AAAA); a.IsGlobalUnicast() && !a.Is4In6() {
				all.All = append(all.All, a)
			}
		}
	}
	if len(all.All) == 0 {
		return all, discovery.ErrAbsent
	}
	all.TTL = time.Duration(ttl) * time.Second
	return all, nil
}

// exchange sends a question and returns the answer to it.
func exchange(ctx context.Context, dial func(string) (net.Conn, error), network string, q dnsmessage.Message) (m dnsmessage.Message, err error) {
	conn, err := dial(network)
	if err != nil {
		return m, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	query, err := q.Pack()
	if err != nil {
		return m, err
	}
	if network == "tcp" { // RFC 1035 section 4.2.2
		query = append([]byte{byte(len(query) >> 8), byte(len(query))}, query...)
	}
	if _, err := conn.Write(query); err != nil {
		return m, err
	}
	for b := make([]byte, 1<<16); ; {
		n := 0
		if network == "udp" {
			n, err = conn.Read(b)
		} else if _, err = io.ReadFull(conn, b[:2]); err == nil {
			n, err = io.ReadFull(conn, b[:int(b[0])<<8|int(b[1])])
		}
		if err != nil {
			return m, err
		}
		// Anything else is of another question, or forged.
		if m.Unpack(b[:n]) == nil && m.Response && m.ID == q.ID && len(m.Questions) == 1 &&
			strings.EqualFold(m.Questions[0].Name.String(), q.Questions[0].Name.String()) && m.Questions[0].Type == q.Questions[0].Type {
			return m, nil
		}
	}
}
