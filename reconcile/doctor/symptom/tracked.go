package symptom

import (
	"strconv"
	"strings"
)

// Tracked is how full the kernel's table of connections is.
type Tracked struct {
	Count int `json:"count"`
	Max   int `json:"max"`
}

// tracked reads how many connections there are and may be.
func (e *examination) tracked() Tracked {
	return Tracked{e.number("nf_conntrack_count"), e.number("nf_conntrack_max")}
}

// number reads a parameter of connection tracking; 0 if it cannot be read.
func (e *examination) number(key string) int {
	data, err := e.h.Sys.ReadFile("net/netfilter/" + key)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return n
}
