package softwire

// A Warning is of what is legal and probably not meant.
type Warning struct {
	Kind WarningKind
	text string
}

// A WarningKind is what a warning is about.
type WarningKind int

const (
	StrayBits    WarningKind = iota // the rule's IPv4 prefix has bits behind its length
	PSIDReplaced                    // the prefix carries another PSID than the rule has
	NotFirst                        // the prefix is a part of the end-user prefix that the CE address is not in
	Mesh                            // customers of the line send to each other directly, which is not supported
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
