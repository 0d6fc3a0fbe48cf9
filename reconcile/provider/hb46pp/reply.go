package hb46pp

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"mape-netplan/reconcile/provider/offer"
)

// A Reply is the answer of a server (section 3.4). Its JSON has the protocol's own form, and reading it checks all of
// it again. Of unknown methods it has only the names: an error in an unused one must not cost the line.
type Reply struct {
	Enabler string `json:"enabler_name"`
	Service string `json:"service_name,omitempty"`
	ISP     string `json:"isp_name,omitempty"`
	// Seconds are the lifetime of the reply (ttl), up to 604800; nil if it has none.
	Seconds *int `json:"ttl,omitempty"`
	// Auth is the result of user and password: "" (not used), "req" (required), "bad" or "ok".
	Auth string `json:"auth,omitempty"`
	// Order are the methods of the line, the best first: "map_e", "dslite".
	Order []string `json:"order"`
	// Methods, those in Order only.
	MAPE   *MAPE   `json:"map_e,omitempty"`
	MAPT   *MAPT   `json:"map_t,omitempty"`
	LW4o6  *LW4o6  `json:"lw4o6,omitempty"`
	DSLite *DSLite `json:"dslite,omitempty"`
	IPIP   []IPIP  `json:"ipip,omitzero"`

	token string
}

// TTL is the lifetime of the reply; negative if it has none.
func (r *Reply) TTL() time.Duration {
	if r.Seconds == nil {
		return -1
	}
	return time.Duration(*r.Seconds) * time.Second
}

// Name is the name of the line's service.
func (r *Reply) Name() string {
	switch {
	case r.Service == "" && r.Enabler == "":
		return "the line's server"
	case r.Service == "" || r.Service == r.Enabler:
		return r.Enabler
	case r.Enabler == "":
		return r.Service
	}
	return fmt.Sprintf("%s (%s)", r.Service, r.Enabler)
}

// Mechanisms are what the line offers of that which this program supports, in its order.
func (r *Reply) Mechanisms() (all []offer.Mechanism) {
	for i, name := range r.Order {
		if m, ok := methodOf(name); ok && !slices.Contains(r.Order[:i], name) {
			all = append(all, m.mechanisms(r)...)
		}
	}
	return all
}

// Offers returns nil if the line has a mechanism that is supported, otherwise an error with what it has instead.
func (r *Reply) Offers() error {
	switch {
	case len(r.Mechanisms()) > 0:
		return nil
	case len(r.Order) > 0:
		return fmt.Errorf("%s offers this line %s, and only %s are supported", r.Name(), strings.Join(r.Order, ", "), strings.Join(methodNames(), ", "))
	case r.Auth == "bad":
		return fmt.Errorf("%s rejects the user or the password, and offers this line nothing without them (order: [])", r.Name())
	case r.Auth == "req":
		return fmt.Errorf("%s offers this line nothing without a user and a password (order: [])", r.Name())
	default:
		return fmt.Errorf("%s offers this line nothing (order: [])", r.Name())
	}
}

var (
	methodName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)
	tokenForm  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ParseReply reads and checks the body of an answer.
func ParseReply(data []byte) (*Reply, error) {
	r := new(Reply)
	return r, r.UnmarshalJSON(data)
}

// UnmarshalJSON is [ParseReply].
func (r *Reply) UnmarshalJSON(data []byte) error {
	if !json.Valid(data) {
		return errors.New("the answer is not JSON")
	}
	f := object("the answer.", data)
	f.path = ""
	*r = Reply{
		Enabler: f.text("enabler_name"), // It is required, and v6コネクト's answer has none.
		Service: f.text("service_name"),
		ISP:     f.text("isp_name"),
		Auth:    f.text("auth"),
		token:   f.text("token"),
	}
	if raw, ok := f.get("ttl"); ok {
		seconds := f.number("ttl", raw, 0, int(MostTTL/time.Second))
		r.Seconds = &seconds
	}
	if !slices.Contains([]string{"", "req", "bad", "ok"}, r.Auth) {
		f.fail("auth", "%s is unknown: it must be req, bad or ok", quote(r.Auth))
	}
	if r.token != "" && !tokenForm.MatchString(r.token) {
		f.fail("token", "must be 64 digits and letters from a to f")
	}
	r.Order = f.order()
	for _, name := range r.Order {
		m, ok := methodOf(name)
		if !ok || f.err != nil {
			continue
		}
		err := fmt.Errorf("%s: is missing: it must be what order names", name)
		if raw, there := f.get(name); there {
			err = m.read(r, raw)
		}
		if err != nil && len(r.Mechanisms()) == 0 { // An error in what comes after a good one must not cost the line.
			f.err = err
		}
	}
	return f.err
}

// order are the methods, unknown names included: later versions of the specification may have more.
func (f *fields) order() []string {
	const most = 32
	all := []string{}
	for i, raw := range f.list("order", most, `a list such as ["map_e"]`) {
		var name string
		if json.Unmarshal(raw, &name) != nil || !methodName.MatchString(name) {
			f.fail(fmt.Sprintf("order[%d]", i), "%s is not the name of a method such as map_e", quote(string(raw)))
		}
		all = append(all, name)
	}
	return all
}
