// Package ruleset reads what the other programs on the machine have in nf_tables.
package ruleset

import "slices"

// A Ruleset is what other programs have in nf_tables that packets of IPv4, or IPv6 packets of this machine's own, can
// meet. It is read for warnings and never written: a test that cannot be decided is kept as a Step that is Unknown.
type Ruleset struct {
	Chains     []Chain     `json:"chains,omitempty"`
	Flowtables []Flowtable `json:"flowtables,omitempty"`
}

// A Chain is a base chain, or with Type "" one that rules of its table go to.
type Chain struct {
	Family   string `json:"family"` // ip, ip6 or inet
	Table    string `json:"table"`
	Name     string `json:"name"`
	Type     string `json:"type,omitempty"`
	Hook     string `json:"hook,omitempty"`
	Priority int32  `json:"priority,omitempty"`
	Drop     bool   `json:"drop,omitempty"` // the policy
	Rules    []Rule `json:"rules,omitempty"`
}

// A Rule is what the kernel does one after the other until a test fails.
type Rule struct {
	Handle uint64 `json:"handle"`
	Steps  []Step `json:"steps,omitempty"`
}

// A Step is a test, or does something.
type Step struct {
	// Do is "" for a test, DoLookup for a verdict map, else what is done.
	Do string `json:"do,omitempty"`
	// To is the chain or the flowtable that it is done with.
	To string `json:"to,omitempty"`
	// Fields are what a test looks at. It passes when each lies in its interval in one of Any; with Not, when in none.
	Fields []string `json:"fields,omitempty"`
	Any    []Case   `json:"any,omitempty"`
	Not    bool     `json:"not,omitempty"`
	// Unknown says that the test depends on more than this.
	Unknown bool `json:"unknown,omitempty"`
}

// What a step does. Anything that neither ends a rule nor matters here is left out.
const (
	DoLookup     = "vmap"
	DoAccept     = "accept"
	DoDrop       = "drop"
	DoReject     = "reject"
	DoReturn     = "return"
	DoJump       = "jump"
	DoGoto       = "goto"
	DoMasquerade = "masquerade"
	DoSNAT       = "snat"
	DoDNAT       = "dnat"
	DoNoTrack    = "notrack"
	DoFlow       = "flow add"
)

// A Case is an interval for each field and, in a verdict map, what is done there.
type Case struct {
	Intervals []Interval `json:"in"`
	Do        string     `json:"do,omitempty"`
	To        string     `json:"to,omitempty"`
}

// An Interval has both ends in it, each as long as the field, in the order in which the kernel compares.
type Interval struct {
	From []byte `json:"from"`
	To   []byte `json:"to"`
}

// A Flowtable takes packets of connections that were added to it from these interfaces past all chains.
type Flowtable struct {
	Family  string   `json:"family"`
	Table   string   `json:"table"`
	Name    string   `json:"name"`
	Devices []string `json:"devices,omitempty"` // "eth*" is every one that begins so
}

// targets lists the chains that a chain's rules go to.
func (c Chain) targets() []string {
	var names []string
	add := func(do, to string) {
		if (do == DoJump || do == DoGoto) && !slices.Contains(names, to) {
			names = append(names, to)
		}
	}
	for _, rule := range c.Rules {
		for _, s := range rule.Steps {
			add(s.Do, s.To)
			for _, a := range s.Any {
				add(a.Do, a.To)
			}
		}
	}
	return names
}
