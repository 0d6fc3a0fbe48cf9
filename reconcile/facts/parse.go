package facts

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"mape-netplan/reconcile/kernel"
)

// ParseFacts reads what "mape-netplan facts" printed, of this version or
// another: what is unknown in it is skipped.
func ParseFacts(data []byte) (Facts, error) {
	var f Facts
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // An editor's mark.
	if len(bytes.TrimSpace(data)) == 0 {
		return f, errors.New("it is empty")
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, err
	}
	switch {
	case f.Links == nil:
		return f, errors.New("it has no links")
	case slices.ContainsFunc(f.Links, func(l kernel.Link) bool { return l.Name == "" }):
		return f, errors.New("one of its links has no name")
	}
	return f, nil
}
