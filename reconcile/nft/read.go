package nft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// Read returns the kernel's table of that name in family ip, and an absent one where the kernel has none.
func Read(c *Conn, name string) (Table, error) { return c.explained(reader{name: name}) }

// ReadRules is Read without the elements of sets, which are most of a table, but those of the sets that are named.
func ReadRules(c *Conn, name string, sets ...string) (Table, error) {
	return c.explained(reader{name: name, rulesOnly: true, with: sets})
}

func (c *Conn) explained(r reader) (Table, error) {
	t, err := c.read(r)
	if err != nil {
		return Table{}, fmt.Errorf("reading nftables: %w", Explain(err))
	}
	return t, nil
}

// tries is how often a table is read or written again because the ruleset changed meanwhile.
const tries = 50

func (c *Conn) read(r reader) (t Table, err error) {
	if r.Exchange, err = c.Exchange(); err != nil {
		return Table{}, err
	}
	defer r.Close()
	// A table takes several dumps, and between two of them the ruleset may be replaced.
	ok, err := r.Consistent(tries, func() (err error) {
		t, err = r.table()
		return err
	})
	if err == nil && !ok {
		err = errBusy
	}
	return t, err
}

var errBusy = errors.New("the ruleset changes faster than it can be read")

// outline returns the table without rules and elements, and its generation.
func (c *Conn) outline(name string) (t Table, generation uint64, err error) {
	x, err := c.Exchange()
	if err != nil {
		return t, 0, err
	}
	defer x.Close()
	if generation, err = x.Generation(); err != nil {
		return t, 0, err
	}
	t, err = reader{Exchange: x, name: name, outline: true}.table()
	return t, generation, err
}

// A reader reads one table.
type reader struct {
	Exchange
	name      string
	outline   bool     // without rules and elements
	rulesOnly bool     // without elements
	with      []string // sets of which rulesOnly does not hold
}

// get returns the answers about what is in the table.
func (r reader) get(message uint16, flags netlink.HeaderFlags, in ...string) (answers []nlmsg.Value, err error) {
	for a, err := range r.Ask(message, flags, unix.NFPROTO_IPV4, append([]string{r.name}, in...)...) {
		if err != nil {
			return nil, err
		}
		answers = append(answers, slices.Clone(a.Value))
	}
	return answers, nil
}
