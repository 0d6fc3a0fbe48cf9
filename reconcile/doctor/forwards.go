package doctor

import (
	"fmt"
	"strings"
)

// forwards: are the forwarded ports in the port set?
func (d *dossier) forwards() Finding {
	switch {
	case d.g == nil:
		return skipped("what is forwarded is not known")
	case len(d.g.Off) > 0:
		var seen []string
		for _, p := range d.g.Off {
			seen = append(seen, p.Path+": "+p.Message)
		}
		p := d.g.Off[0]
		return warning(strings.Join(seen, ", and "),
			fmt.Sprintf("The line does not have every forwarded port, and the gateway works without such forwards; %s:%d:%d: %s.", p.File, p.Line, p.Col, strings.Join(seen, ", and ")),
			`Write one of the free ports into the section and run "`+d.command()+`".`)
	}
	if len(d.g.Forwards) == 0 {
		return good("the section has none")
	}
	return good("the ports of all %d are in the port set", len(d.g.Forwards))
}

// held adds to the cause that the last line is held meanwhile.
func (d *dossier) held(f *Finding) {
	if d.err != nil && d.g != nil {
		f.Diagnosis += fmt.Sprintf(" Until that changes the last line is held: %s.", d.g)
	}
}
