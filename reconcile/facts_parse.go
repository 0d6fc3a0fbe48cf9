package reconcile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ParseFacts reads what "mape-netplan facts" printed, of this version or
// another: what is unknown in it is passed over. The error says what it is
// instead.
func ParseFacts(data []byte) (Facts, error) {
	var f Facts
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // An editor's mark.
	if len(bytes.TrimSpace(data)) == 0 {
		return f, errors.New("it is empty")
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, misread(data, err)
	}
	switch {
	case f.Links == nil:
		return f, errors.New("it has no links")
	case slices.ContainsFunc(f.Links, func(l Link) bool { return l.Name == "" }):
		return f, errors.New("one of its links has no name")
	}
	return f, nil
}

// misparsed are the errors of net/netip and time for a text that is none.
var misparsed = regexp.MustCompile(`^(?:netip\.)?Parse(?:Addr|Prefix)\(("[^"]*")\)|^parsing time ("[^"]*")|^(?:not an ip:port|no IP|no port|invalid ip:port|invalid port)`)

// misread says in words what encoding/json stumbled over.
func misread(data []byte, err error) error {
	line := func(offset int64) int { return 1 + bytes.Count(data[:min(int(offset), len(data))], []byte("\n")) }
	var syntax *json.SyntaxError
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(bytes.TrimSpace(data))):
		return errors.New("it ends in the middle of its JSON")
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d is not of one JSON object", line(syntax.Offset))
	case errors.As(err, &other) && other.Field == "":
		return fmt.Errorf("it is JSON, but %s", shape(other.Value))
	case errors.As(err, &other):
		return fmt.Errorf("line %d: %q cannot be %s", line(other.Offset), other.Field, shape(other.Value))
	}
	if found := misparsed.FindStringSubmatch(err.Error()); found != nil {
		return fmt.Errorf("%s in it is no address, prefix or time", cmp.Or(found[1]+found[2], "a text"))
	}
	return err
}

// shape is what encoding/json found: "object", "number", "number 1e99".
func shape(found string) string {
	kind, value, _ := strings.Cut(found, " ")
	switch {
	case value != "":
		return value
	case kind == "object":
		return "an object"
	case kind == "array":
		return "a list"
	case kind == "string":
		return "text"
	case kind == "bool":
		return "true or false"
	}
	return "a " + kind
}
