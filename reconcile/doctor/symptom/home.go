package symptom

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile"
)

// Home is what a home gateway at ntt.setup answers (the check that JPNE's CEs do before they start).
type Home struct {
	Address netip.Addr `json:"address,omitzero"`
	Status  string     `json:"status,omitempty"` // ON: it is the CE itself
	Skipped string     `json:"skipped,omitempty"`
}

// The check that JPNE's customer edges do before they start: a home gateway that answers ON is the line's customer edge
// itself (ASUSWRT, v6plusd.c).
const (
	HomeName = "ntt.setup"
	homePort = 8888
	homePath = "/enabler.ipv4/check?callback=mape"
	homeTime = time.Second
)

// home asks the home gateway, and nobody else: its name is resolved by the line's own resolvers, the address has to be
// one that the WAN leads to, and the connection is bound to the WAN.
func (e *examination) home(ctx context.Context) error {
	e.s.Home = e.askHome(ctx)
	return nil
}

func (e *examination) askHome(ctx context.Context) Home {
	wan, ok := e.f.Link(WAN(e.c, e.f))
	if !ok || e.o.Resolve == nil {
		return Home{Skipped: "the WAN is not known"}
	}
	soon, cancel := context.WithTimeout(ctx, homeTime)
	defer cancel()
	all, err := e.o.Resolve(soon, e.h, wan, HomeName)
	if err != nil {
		return Home{Skipped: fmt.Sprintf("%s is not known on this line (%v)", HomeName, err)}
	}
	for _, a := range all {
		if p := reconcile.PathTo(e.h, a); p.Error != "" || p.Link != wan.Name {
			continue
		}
		status, err := ask(soon, wan.Name, a)
		if err != nil {
			return Home{Address: a, Skipped: fmt.Sprintf("%s does not say: %v", a, err)}
		}
		return Home{Address: a, Status: status}
	}
	return Home{Skipped: fmt.Sprintf("%s has no address that %s leads to", HomeName, wan.Name)}
}

// ask reads the status from an answer such as mape({"name":"…","version":"…","status":"ON"}).
func ask(ctx context.Context, device string, to netip.Addr) (string, error) {
	conn, err := (&net.Dialer{Control: bound(device)}).DialContext(ctx, "tcp", netip.AddrPortFrom(to, homePort).String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		conn.SetDeadline(end)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d%s", HomeName, homePort, homePath), nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	if err := req.Write(conn); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	from, to1 := bytes.IndexByte(body, '{'), bytes.LastIndexByte(body, '}')
	if from < 0 || to1 < from {
		return "", errors.New("its answer is not what a home gateway says")
	}
	var said struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(body[from:to1+1], &said); err != nil {
		return "", fmt.Errorf("its answer: %w", err)
	}
	return strings.ToUpper(said.Status), nil
}

// bound keeps a socket's packets on one interface.
func bound(device string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) }); e != nil {
			return e
		}
		return err
	}
}

// LineResolver asks the resolvers that networkd has learned from the line.
func LineResolver(ctx context.Context, h *reconcile.Host, wan reconcile.Link, name string) ([]netip.Addr, error) {
	failed := errors.New("the line names no resolver")
	for _, server := range h.Resolvers(wan) {
		if a := server.Addr(); !a.IsLinkLocalUnicast() {
			if routes, err := h.Net.RouteGet(a.AsSlice()); err != nil || len(routes) == 0 || routes[0].LinkIndex != wan.Index {
				continue // It is another link's.
			}
		}
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Control: bound(wan.Name)}).DialContext(ctx, network, server.String())
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
