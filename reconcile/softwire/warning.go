package softwire

// A Warning is about what is legal but probably a mistake.
type Warning struct {
	Kind WarningKind
	text string
}

// A WarningKind is what a warning is about.
type WarningKind int

const (
	StrayBits    WarningKind = iota // the rule's IPv4 prefix or PSID has bits set after its length
	PSIDReplaced                    // the prefix has another PSID than the rule
	NotFirst                        // the prefix is not the subnet of the end-user prefix that has the CE address
	NotGlobal                       // the IPv4 address is private
	Mesh                            // customers send to each other directly, which is not supported
	Shadowed                        // another rule's longer IPv4 prefix has the address
	SystemPorts                     // no port of the set may be drawn by NAT
	Ignored                         // a part of what the line said is wrong
)

// NewWarning is a warning of that kind.
func NewWarning(kind WarningKind, text string) Warning { return Warning{kind, text} }

func (w Warning) String() string { return w.text }

// WarningTexts are the softwire's warnings for people.
func (s Softwire) WarningTexts() []string {
	all := []string{}
	for _, w := range s.Warnings {
		all = append(all, w.text)
	}
	return all
}
