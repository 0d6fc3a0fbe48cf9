package hb46pp

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
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
	MAPE  *MAPE    `json:"map_e,omitempty"` // with map_e in Order only

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
	if r.Service == "" || r.Service == r.Enabler {
		return r.Enabler
	}
	return fmt.Sprintf("%s (%s)", r.Service, r.Enabler)
}

// mapE is the method that this program supports.
const mapE = "map_e"

// Offers returns nil if the line has MAP-E, otherwise an error with what it has instead.
func (r *Reply) Offers() error {
	switch {
	case r.MAPE != nil:
		return nil
	case len(r.Order) > 0:
		return fmt.Errorf("%s offers this line %s, and only map_e (MAP-E) is supported yet", r.Name(), strings.Join(r.Order, ", "))
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
		Enabler: f.needText("enabler_name", "the name of the provider"),
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
	if slices.Contains(r.Order, mapE) {
		if raw, ok := f.need(mapE, "what order names"); ok {
			r.MAPE, f.err = parseMAPE(raw)
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
