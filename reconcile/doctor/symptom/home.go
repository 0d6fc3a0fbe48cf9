package symptom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"mape-netplan/reconcile/bind"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
)

// Home is what a home gateway answers.
type Home struct {
	Address netip.Addr `json:"address,omitzero"`
	Status  string     `json:"status,omitempty"`  // ON: it is the CE itself
	Skipped string     `json:"skipped,omitempty"` // why there is no status
}

// The check that JPNE's customer edges do before they start: a home gateway that answers ON is the line's customer edge
// itself (ASUSWRT, v6plusd.c).
const (
	HomeName = "ntt.setup"
	homePort = 8888
	homePath = "/enabler.ipv4/check?callback=mape"
	homeTime = time.Second
)

// home asks the home gateway and no other host: the line's own resolvers resolve its name, the route to its address must
// be through the WAN, and the connection is bound to the WAN. A line without a home gateway is not an error.
func (g *gatherer) home(ctx context.Context, s *Symptoms) error {
	wan, ok := g.f.Link(g.aim.Line.Likely)
	if !ok || g.o.Resolve == nil {
		s.Home = Home{Skipped: "the WAN is not known"}
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, homeTime)
	defer cancel()
	all, err := g.o.Resolve(soon, g.h, wan, HomeName)
	if err != nil {
		s.Home = Home{Skipped: fmt.Sprintf("%s is not known on this line (%v)", HomeName, err)}
		return nil
	}
	s.Home = Home{Skipped: fmt.Sprintf("%s has no address behind %s", HomeName, wan.Name)}
	for _, a := range all {
		if p := kernel.PathTo(g.h, a); p.Error != "" || p.Link != wan.Name {
			continue
		}
		s.Home = Home{Address: a}
		if s.Home.Status, err = homeStatus(soon, wan.Name, a); err != nil {
			s.Home.Skipped = fmt.Sprintf("%s gives no status: %v", a, err)
		}
		return nil
	}
	return nil
}

// homeStatus fetches the status, which comes as in mape({"name":"…","version":"…","status":"ON"}).
func homeStatus(ctx context.Context, device string, to netip.Addr) (string, error) {
	url := fmt.Sprintf("http://%s:%d%s", HomeName, homePort, homePath)
	resp, body, err := fetch(ctx, bind.Dialer(device), http.MethodGet, url, netip.AddrPortFrom(to, homePort))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	begin, end := bytes.IndexByte(body, '{'), bytes.LastIndexByte(body, '}')
	if begin < 0 || end < begin {
		return "", errors.New("not the answer of a home gateway")
	}
	var answer struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(body[begin:end+1], &answer); err != nil {
		return "", fmt.Errorf("answer: %w", err)
	}
	return strings.ToUpper(answer.Status), nil
}

// LineResolver asks the resolvers that networkd has learned from the line.
func LineResolver(ctx context.Context, h *host.Host, wan kernel.Link, name string) ([]netip.Addr, error) {
	failed := errors.New("the line names no resolver")
	for _, server := range line.Resolvers(h, wan) {
		if a := server.Addr(); !a.IsLinkLocalUnicast() {
			if routes, err := h.Net.RouteGet(a.AsSlice()); err != nil || len(routes) == 0 || routes[0].LinkIndex != wan.Index {
				continue // reached through another link
			}
		}
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return bind.Dialer(wan.Name).DialContext(ctx, network, server.String())
		}}
		all, err := resolver.LookupNetIP(ctx, "ip", name+".")
		if err == nil {
			for i := range all {
				all[i] = all[i].Unmap()
			}
			return all, nil
		}
		if failed = err; ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}
