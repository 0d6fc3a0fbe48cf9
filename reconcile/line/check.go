package line

import (
	"errors"
	"fmt"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// Check says everything that is wrong with a section that no look at a machine
// is needed for.
func Check(c *schema.Config) error {
	var all schema.Problems
	add := func(path string, err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				all = append(all, c.Problem(path, "%v", e))
			}
		} else if err != nil {
			all = append(all, c.Problem(path, "%v", err))
		}
	}
	for i, r := range rules(c) {
		add(fmt.Sprintf("rules[%d]", i), r.Check())
	}
	if len(all) == 0 {
		add("rules", softwire.CheckRules(rules(c)))
	}
	if len(all) > 0 {
		return all
	}
	if c.Softwire != nil || c.Prefix.IsValid() {
		line, err := Find(c, facts.Facts{})
		if errors.Is(err, ErrNotYet) { // Its rules are the line's to say.
			return nil
		}
		if err != nil {
			return err
		}
		if _, off := SplitForwards(c, line.Softwire); len(off) > 0 {
			return off
		}
	}
	return nil
}
