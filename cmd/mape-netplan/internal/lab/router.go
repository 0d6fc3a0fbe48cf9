package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Announce is what the line's router advertises.
type Announce struct {
	Prefix     netip.Prefix // routed to the line, and on-link as /64; invalid for none
	Autonomous bool         // hosts make addresses from it
	Managed    bool         // M and O: DHCPv6 has more
	Silent     bool         // no default route: router lifetime 0
	None       bool         // no advertisement at all, as on a dead line
	Resolver   netip.Addr   // RDNSS (RFC 8106); invalid for none
}

// router is the provider's side of the line: radvd, and the route to the prefix.
type router struct {
	wan *Namespace
	dir string
	cmd *exec.Cmd
}

func newRouter(wan *Namespace) (*router, error) {
	dir, err := os.MkdirTemp("", "mape-lab-")
	return &router{wan: wan, dir: dir}, err
}

func (a Announce) config() string {
	var b strings.Builder
	lifetime := 1800
	if a.Silent {
		lifetime = 0
	}
	fmt.Fprintf(&b, "interface line {\n\tAdvSendAdvert on;\n\tMinRtrAdvInterval 3;\n\tMaxRtrAdvInterval 10;\n")
	on := map[bool]string{true: "on", false: "off"}
	fmt.Fprintf(&b, "\tAdvDefaultLifetime %d;\n\tAdvManagedFlag %s;\n\tAdvOtherConfigFlag %s;\n", lifetime, on[a.Managed], on[a.Managed])
	if a.Prefix.IsValid() {
		net := netip.PrefixFrom(a.Prefix.Addr(), 64).Masked()
		fmt.Fprintf(&b, "\tprefix %s {\n\t\tAdvOnLink on;\n\t\tAdvAutonomous %s;\n\t};\n", net, on[a.Autonomous])
	}
	if a.Resolver.IsValid() {
		fmt.Fprintf(&b, "\tRDNSS %s {\n\t\tAdvRDNSSLifetime 1800;\n\t};\n", a.Resolver)
	}
	b.WriteString("};\n")
	return b.String()
}

// announce restarts radvd: a reload would not send the change before the next interval.
func (r *router) announce(a Announce) error {
	r.stop()
	if a.None {
		return nil
	}
	if a.Prefix.IsValid() {
		if err := r.wan.route(a.Prefix.Masked().String(), "line", ""); err != nil {
			return err
		}
	}
	conf := filepath.Join(r.dir, "radvd.conf")
	if err := os.WriteFile(conf, []byte(a.config()), 0o644); err != nil {
		return err
	}
	// The last one's helper may hold the lock on its file a moment longer.
	if err := os.Remove(filepath.Join(r.dir, "pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.cmd = exec.Command("radvd", "-n", "-m", "logfile", "-l", filepath.Join(r.dir, "log"), "-C", conf, "-p", filepath.Join(r.dir, "pid"))
	if err := r.wan.start(r.cmd); err != nil {
		r.cmd = nil
		return fmt.Errorf("radvd: %w", err)
	}
	return nil
}

func (r *router) stop() {
	if r.cmd != nil {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		r.cmd = nil
	}
}

// Close stops announcing, without the farewell a router sends.
func (r *router) Close() error {
	r.stop()
	return os.RemoveAll(r.dir)
}
