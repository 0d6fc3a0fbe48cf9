package line

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// discovered computes the mapping of a prefix by what the line offers.
func discovered(c *schema.Config, f facts.Facts, prefix netip.Prefix) (mapping, error) {
	d, how := f.Discovered.By(discovery.SourceOf(c.Provider)), discovery.Protocol(discovery.SourceOf(c.Provider))
	switch {
	case d == nil:
		return mapping{}, NotYet{fmt.Errorf("the line has not been asked for its rules yet (%s): apply, install or watch asks it", how)}
	case d.Check() != nil:
		return mapping{}, NotYet{fmt.Errorf("what the line said of its rules (%s) cannot be used: %w", how, d.Check())}
	case d.Withdrawn && (discovery.Asks(c.Provider) || d.Lost):
		return mapping{}, discovery.Withdrawn{Why: errors.New(d.Problem)}
	case d.Offers():
		return byOffer(c, f, d, prefix)
	case d.Problem == "" && d.Unstored:
		return mapping{}, NotYet{errors.New("the provider forbids keeping its rules (Cache-Control: no-store): only apply and watch, which ask, know them")}
	}
	return mapping{}, NotYet{errors.New(d.Problem)}
}

// byOffer computes the mapping of a prefix by the first of the line's mechanisms that fits it. One that only waits for the
// address of its far end fits.
func byOffer(c *schema.Config, f facts.Facts, d *discovery.Discovery, prefix netip.Prefix) (mapping, error) {
	var failed error
	for _, m := range d.Mechanisms() {
		made, err := byMechanism(c, f, m, prefix)
		if err == nil && d.Reply != nil && softwire.Private(made.softwire.Inner) { // Only DS-Lite's is not of the internet.
			err = fmt.Errorf("ipv4 %v is private", made.softwire.Inner)
		}
		if err != nil && !errors.Is(err, ErrNotYet) {
			failed = cmp.Or(failed, err)
			continue
		}
		made.provider, made.service = cmp.Or(d.Source, discovery.Discover), d.Name()
		if m.Mesh {
			made.warn(softwire.Mesh, d.Name()+" has its customers send to each other directly (mesh), which is not supported: what comes from them that way is dropped")
		}
		for _, text := range d.Ignored() {
			made.warn(softwire.Ignored, d.Name()+" gives what is ignored: "+text)
		}
		return made, err
	}
	return mapping{}, fmt.Errorf("of the rules that %s gave: %w", d.Name(), failed)
}

func (m *mapping) warn(kind softwire.WarningKind, text string) {
	m.softwire.Warnings = append(m.softwire.Warnings, softwire.NewWarning(kind, text))
}
