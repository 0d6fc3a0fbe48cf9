package facts_test

import (
	"strings"
	"testing"

	"mape-netplan/reconcile/facts"
)

// TestParseFacts: a text that is not what facts prints gets an error that says so.
func TestParseFacts(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "it is empty",
		" \n":                 "it is empty",
		"\ufeff":              "it is empty",
		"null":                "it has no links",
		"{}":                  "it has no links",
		"hello":               "invalid character",
		"{\"links\": []}\n{}": "invalid character",
		"{\"links\": [":       "unexpected end of JSON",
		"[]":                  "json: cannot unmarshal array",
		`{"links": [{"name": "eth1", "mtu": "1500"}]}`: "json: cannot unmarshal string",
		`{"links": [{}]}`: "one of its links has no name",
		`{"links": [{"name": "eth1", "addresses": [{"prefix": "x"}]}]}`: "netip.ParsePrefix",
		`{"links": [], "discovered": {"reply": {}}}`:                    "order: is missing",
	} {
		if _, err := facts.Parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	// An editor's mark, and what another version knows.
	f, err := facts.Parse([]byte("\ufeff{\"links\": [{\"name\": \"eth1\", \"colour\": 1}], \"tomorrow\": {}}"))
	if _, ok := f.Link("eth1"); !ok || err != nil {
		t.Errorf("%+v, %v", f, err)
	}
}
