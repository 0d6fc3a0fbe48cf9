package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
)

// A Setting is a line of a unit file that netplan's generator writes.
type Setting struct{ File, Name, Value string }

func (s Setting) String() string { return s.File + ": " + s.Name + "=" + s.Value + "\n" }

// Generated is what netplan's generator has made of netplan's files for
// networkd, as far as the program needs it.
type Generated struct {
	Settings []Setting // in networkd's generated files
	Present  bool      // that all are wanted, or none
	Told     bool      // networkd need not read them: the kernel has been told
	found    []Setting // that are there, in a live one
}

// generatedDir is where netplan's generator writes for networkd.
const generatedDir = "/run/systemd/network"

func (g Generated) Name() string { return "netplan generate" }

func (Generated) Traits() Traits { return Traits{Daemon: true, Shared: true} }

func (g Generated) Text() string {
	var b strings.Builder
	settings := g.found
	if g.Present {
		settings = g.Settings
	}
	for _, s := range settings {
		b.WriteString(s.String())
	}
	return b.String()
}

func (g Generated) Read(_ context.Context, h *Host) (Resource, error) {
	live := Generated{Settings: g.Settings}
	for _, s := range g.Settings {
		data, err := h.Root.ReadFile(local(generatedDir + "/" + s.File))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		options, err := unit.DeserializeOptions(strings.NewReader(string(data)))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(options, func(o *unit.UnitOption) bool { return o.Name == s.Name && o.Value == s.Value }) {
			live.found = append(live.found, s)
		}
	}
	return live, nil
}

// Write has the files generated again and networkd read them. That makes the
// tunnel where it is missing and configures the links whose files changed:
// nothing that "netplan apply" would restart.
func (g Generated) Write(ctx context.Context, h *Host) error {
	if err := h.generate(ctx); err != nil {
		return err
	}
	if h.Bus == nil || g.Told {
		return nil
	}
	return h.Bus.Reload(ctx)
}

// Managed is a link that networkd configures by a file of ours.
type Managed struct {
	Link    string
	File    string // a .network file, or a drop-in for one
	Data    string // what File says; "" is not looked at
	Present bool
	// Asks says that File has networkd ask for a delegated prefix, LinkLayer that it does by a DUID of that type.
	Asks      bool
	LinkLayer bool
}

func (m Managed) Name() string { return "networkd " + m.Link }

func (m Managed) Traits() Traits { return Traits{Link: m.Link, Daemon: true} }

func (m Managed) Text() string {
	if !m.Present {
		return ""
	}
	return "configured by " + m.File + "\n"
}

// An outdated Managed link is configured by a file that has been, or is going
// to be, written anew.
type outdated struct{ Managed }

func (o outdated) Text() string { return "configured by an earlier " + o.File + "\n" }

// An awaiting Managed link asks for a prefix and has none, as in the seconds
// after networkd has configured it anew. That comes by itself.
type awaiting struct{ Managed }

func (a awaiting) Text() string { return a.Managed.Text() + "no delegated prefix yet\n" }

func (a awaiting) Restore(Resource) []Resource { return []Resource{a.Managed} }

// Settles: networkd gets a prefix within seconds of having configured the link.
func (a awaiting) Settles(want Resource) bool { return a.Managed.Text() == want.Text() }

func (m Managed) Read(_ context.Context, h *Host) (Resource, error) {
	live := Managed{Link: m.Link, File: m.File, Data: m.Data, Asks: m.Asks, LinkLayer: m.LinkLayer}
	link, err := h.link(m.Link)
	if link == nil {
		return live, err
	}
	index := link.Attrs().Index
	file, _ := h.linkState(index, "NETWORK_FILE")
	dropIns, told := h.linkState(index, "NETWORK_FILE_DROPINS")
	if !told && m.File != networkPath {
		// systemd 252 does not tell. Then one reload is due when the file
		// comes or goes.
		live.Present = h.isRegular(m.File)
	} else {
		files := strings.FieldsFunc(dropIns, func(r rune) bool { return r == ':' || r == ' ' })
		live.Present = slices.Contains(append(files, file), m.File)
	}
	if !live.Present || !m.Present {
		return live, nil
	}
	if h.isOutdated(m, index) {
		return outdated{live}, nil
	}
	if m.Asks && h.Bus != nil {
		delegated, err := h.isDelegated(index)
		if !delegated {
			return awaiting{live}, err
		}
	}
	return live, nil
}

// isOutdated says whether networkd has to read the file again: it is about to
// be written anew, or it says what DUID the DHCPv6 client asks by and that
// has another.
func (h *Host) isOutdated(m Managed, index int) bool {
	if m.Data == "" {
		return false
	}
	data, err := h.Root.ReadFile(local(m.File))
	if err == nil && string(data) != m.Data {
		return true
	}
	kind := h.duidType(index)
	return kind != "" && m.LinkLayer && kind != linkLayer
}

// linkLayer is the type of DUID that a file of ours has networkd ask by.
const linkLayer = "DUID-LL"

// duidType is the type of the DUID by which networkd's DHCPv6 client of a link
// asks; "" is not known.
func (h *Host) duidType(index int) string {
	id, _ := h.linkState(index, "DHCP6_CLIENT_DUID") // "DUID-LL:0001bc2411000002"
	kind, _, _ := strings.Cut(id, ":")
	return kind
}

// Write has networkd read its files again, which configures the links whose
// files changed.
func (m Managed) Write(ctx context.Context, h *Host) error {
	if h.Bus == nil {
		return nil
	}
	// networkd would not say so.
	if link, err := h.link(m.Link); err == nil && link == nil && m.Present {
		return fmt.Errorf("there is no interface %s", m.Link)
	}
	return h.Bus.Reload(ctx)
}

// linkState reads what networkd says of a link in the state file that
// sd-network reads too.
func (h *Host) linkState(index int, key string) (value string, told bool) {
	data, err := h.Root.ReadFile("run/systemd/netif/links/" + strconv.Itoa(index))
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.Trim(strings.TrimSpace(value), `"`), true
		}
	}
	return "", false
}
