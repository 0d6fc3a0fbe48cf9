package hb46pp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// resolver queries one server. Dial overrides the nameservers of /etc/resolv.conf: public ones do not have the record,
// and systemd-resolved may prefer those of another link.
func (c Client) resolver(server netip.AddrPort) *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return c.dialer().DialContext(ctx, network, server.String())
		},
	}
}

// record gets the record from the first server that answers. It is absent only if all servers say so: that takes the
// tunnel down, and one of them may belong to another network.
func (c Client) record(ctx context.Context) (Record, error) {
	if len(c.Servers) == 0 {
		return Record{}, &Failure{Unresolved, errors.New("no resolver of the line is known")}
	}
	absent := 0
	var failed error
	for _, server := range c.Servers {
		txt, err := lookup(ctx, c, server, func(ctx context.Context, r *net.Resolver) ([]string, error) { return r.LookupTXT(ctx, Name) })
		switch {
		case err == nil:
			record, err := ParseRecord(txt)
			if err != nil {
				return Record{}, &Failure{Unresolved, fmt.Errorf("resolver %v: %s %w", server.Addr(), Name, err)}
			}
			return record, nil
		case isAbsent(err):
			absent++
		case failed == nil:
			failed = fmt.Errorf("resolver %v: TXT of %s: %w", server.Addr(), Name, err)
		}
	}
	if absent == len(c.Servers) {
		return Record{}, &Failure{Absent, fmt.Errorf("the line's resolver (%s) has no TXT record of %s: the provider has no HB46PP", c.servers(), Name)}
	}
	return Record{}, &Failure{Unresolved, failed}
}

// addresses are the IPv6 addresses of a provisioning server.
func (c Client) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	var failed error
	for _, server := range c.Servers {
		all, err := lookup(ctx, c, server, func(ctx context.Context, r *net.Resolver) ([]netip.Addr, error) {
			return r.LookupNetIP(ctx, "ip6", strings.TrimSuffix(host, ".")+".")
		})
		if err == nil && len(all) > 0 {
			return all, nil
		}
		if isAbsent(err) {
			err = errors.New("no IPv6 address")
		}
		if failed == nil {
			failed = fmt.Errorf("resolver %v: %w", server.Addr(), err)
		}
	}
	return nil, failed
}

func lookup[T any](ctx context.Context, c Client, server netip.AddrPort, ask func(context.Context, *net.Resolver) (T, error)) (T, error) {
	soon, cancel := context.WithTimeout(ctx, c.DNS)
	defer cancel()
	result, err := ask(soon, c.resolver(server))
	switch {
	case err == nil || isAbsent(err):
		return result, err
	case ctx.Err() != nil:
		return result, context.Cause(ctx)
	case isTimeout(err):
		return result, fmt.Errorf("no answer within %v", c.DNS)
	}
	return result, plainDNS(err)
}

// isAbsent reports whether a resolver has nothing: NXDOMAIN, NODATA, or only IPv4-mapped addresses.
func isAbsent(err error) bool {
	var e *net.DNSError
	var unsuitable *net.AddrError
	return errors.As(err, &e) && e.IsNotFound || errors.As(err, &unsuitable)
}

// plainDNS strips an error of the name and of the nameserver in /etc/resolv.conf, which was not queried.
func plainDNS(err error) error {
	var e *net.DNSError
	if errors.As(err, &e) {
		return errors.New(e.Err)
	}
	return err
}

func (c Client) servers() string {
	var all []string
	for _, s := range c.Servers {
		all = append(all, s.Addr().String())
	}
	return strings.Join(all, ", ")
}
