package symptom

import (
	"context"
	"strconv"
	"strings"
)

// Tracked is how full connection tracking is.
type Tracked struct {
	Count int `json:"count"`
	Max   int `json:"max"`
}

// tracked looks at how full connection tracking is.
func (e *examination) tracked(context.Context) error {
	e.s.Tracked = Tracked{e.number("nf_conntrack_count"), e.number("nf_conntrack_max")}
	return nil
}

// number reads a parameter of connection tracking; 0 is not known.
func (e *examination) number(key string) int {
	data, err := e.h.Sys.ReadFile("net/netfilter/" + key)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return n
}
