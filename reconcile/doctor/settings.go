package doctor

import (
	"fmt"
	"strings"
)

// settings: is everything else as apply makes it?
func (d *dossier) settings() Finding {
	if f, ok := d.refused(); ok {
		return f
	}
	var names []string
	for _, x := range d.s.Differences {
		names = append(names, x.Name)
	}
	if len(names) == 0 {
		return good("everything else is as apply makes it")
	}
	return warning("not as apply makes it: "+strings.Join(names, ", "),
		fmt.Sprintf("Some of what this program makes is not as it should be, and may stop working at the next boot: %s.", strings.Join(names, ", ")), d.restore())
}
