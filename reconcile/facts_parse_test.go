package reconcile

import (
	"strings"
	"testing"
)

// TestParseFacts: each text that is not what facts prints gets a sentence of what it is, and none of Go.
func TestParseFacts(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "it is empty",
		" \n":                                 "it is empty",
		"\ufeff":                              "it is empty",
		"null":                                "it has no links",
		"{}":                                  "it has no links",
		"hello":                               "line 1 is not of one JSON object",
		"{\n\"live\": yes}":                   "line 2 is not of one JSON object",
		"warning: something\n{\"links\": []}": "line 1 is not of one JSON object",
		"{\"links\": []}\n{}":                 "line 2 is not of one JSON object",
		"{\"links\": [":                       "it ends in the middle of its JSON",
		"[]":                                  "it is JSON, but a list",
		`"text"`:                              "it is JSON, but text",
		"12":                                  "it is JSON, but a number",
		"true":                                "it is JSON, but true or false",
		`{"links": {}}`:                       `line 1: "links" cannot be an object`,
		"{\"links\": [{\"name\": \"eth1\",\n\"mtu\": \"1500\"}]}": `line 2: "links.mtu" cannot be text`,
		`{"links": [{"name": "eth1", "mtu": 1e99}]}`:              `line 1: "links.mtu" cannot be 1e99`,
		`{"links": [{}]}`: "one of its links has no name",
		`{"links": [{"name": "eth1", "addresses": [{"prefix": "x"}]}]}`:           `"x" in it is no address, prefix or time`,
		`{"links": [], "discovered": {"asked": "x"}}`:                             `"x" in it is no address, prefix or time`,
		`{"links": [], "owned": {"translations": [{"Forwards": [{"To": "x"}]}]}}`: "a text in it is no address, prefix or time",
		`{"links": [], "discovered": {"reply": {}}}`:                              "enabler_name: is missing",
	} {
		if _, err := ParseFacts([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	// An editor's mark, and what another version knows.
	f, err := ParseFacts([]byte("\ufeff{\"links\": [{\"name\": \"eth1\", \"colour\": 1}], \"tomorrow\": {}}"))
	if _, ok := f.Link("eth1"); !ok || err != nil {
		t.Errorf("%+v, %v", f, err)
	}
}
