package facts

import (
	"path/filepath"

	"mape-netplan/reconcile/host"
	"mape-netplan/schema"
)

// SectionPath is the file with the last section that the service has made a gateway of: it stays in force while the
// section's own file has a mistake, or lacks what that one has. Only root reads it, because a section may have a password.
const SectionPath = "/var/lib/mape-netplan/section.yaml"

// LastSection reads that file; nil where there is none, and where another user than root could have written it.
func LastSection(h *host.Host) (*schema.Config, error) {
	data, err := h.ReadPrivate(SectionPath)
	if err != nil || data == "" {
		return nil, err
	}
	if h.Live() { // In an image the owners are the image's.
		if err := host.OnlyRoots(filepath.Join(h.Root.Name(), SectionPath), "which root follows", ""); err != nil {
			return nil, err
		}
	}
	return schema.Parse(SectionPath, []byte(data))
}
