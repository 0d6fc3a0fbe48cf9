package hb46pp

import (
	"net/url"
	"strings"
	"testing"
)

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("nothing is refused, want\n  %s", text)
	case err.Error() != text:
		t.Errorf("the error is\n  %v\nwant\n  %s", err, text)
	}
}

func TestParseRecord(t *testing.T) {
	for text, want := range map[string]Record{
		"v=v6mig-1 url=https://vne.example.jp/rule.cgi t=b":                {mustURL("https://vne.example.jp/rule.cgi"), true},
		"v=v6mig-1 url=https://vne.example.jp/rule.cgi t=a":                {mustURL("https://vne.example.jp/rule.cgi"), false},
		"v=v6mig-1 url=http://vne.example.jp/rule.cgi t=a":                 {mustURL("http://vne.example.jp/rule.cgi"), false},
		"v=v6mig-1 t=b x=y url=https://[2001:db8::1]:8443/?a=b&c=d":        {mustURL("https://[2001:db8::1]:8443/?a=b&c=d"), true},
		"v=v6mig-1 url=https://prod.v6mig.v6connect.net/cpe/v1/config t=b": {mustURL("https://prod.v6mig.v6connect.net/cpe/v1/config"), true}, // seen on a line of Asahi Net
	} {
		got, err := ParseRecord([]string{text})
		if err != nil || got.Verify != want.Verify || got.URL.String() != want.URL.String() {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestParseRecordRefuses(t *testing.T) {
	const of = `it must be one record "v=v6mig-1 url=https://… t=a", or t=b`
	good := "v=v6mig-1 url=https://vne.example.jp/ t=b"
	wantError(t, errorOf(ParseRecord(nil)), "there are 0 TXT records: "+of)
	wantError(t, errorOf(ParseRecord([]string{good, good})), "there are 2 TXT records: "+of)
	for text, want := range map[string]string{
		"":                                        `v is "", but must be v6mig-1: ` + of,
		"v=spf1 -all":                             `must be a list of different keys with values that begins with v: ` + of,
		"url=https://a/ v=v6mig-1":                `must be a list of different keys with values that begins with v: ` + of,
		good + " t=a":                             `must be a list of different keys with values that begins with v: ` + of,
		"v=v6mig-2 url=https://a/":                `v is "v6mig-2", but must be v6mig-1: ` + of,
		"v=v6mig-1 url=https://a/":                `t is "": it must be a (the certificate is not checked) or b (it is)`,
		"v=v6mig-1 url=https://a/ t=c":            `t is "c": it must be a (the certificate is not checked) or b (it is)`,
		"v=v6mig-1 url=https://a/ t=B":            `t is "B": it must be a (the certificate is not checked) or b (it is)`,
		"v=v6mig-1 url=http://a/ t=b":             `t=b needs a certificate, which http does not have: it must be https with t=b, or t=a`,
		"v=v6mig-1 t=b":                           `url: "://" is not an http or https URL with a server name`,
		"v=v6mig-1 url=ftp://a/ t=a":              `url: "ftp://a/" is not an http or https URL with a server name`,
		"v=v6mig-1 url=file:///etc/shadow t=a":    `url: "file:///etc/shadow" is not an http or https URL with a server name`,
		"v=v6mig-1 url=https:a t=a":               `url: "https://" is not an http or https URL with a server name`,
		"v=v6mig-1 url=https:///a t=a":            `url: "https:///a" is not an http or https URL with a server name`,
		"v=v6mig-1 url=https://u:p@a/ t=b":        `url: it must not contain a user: user and password are parameters of the request`,
		"v=v6mig-1 url=https://192.0.2.1/ t=b":    `url: 192.0.2.1 is an IPv4 address: the server must be reached over IPv6`,
		"v=v6mig-1 url=https://a..b/ t=b":         `url: "a..b" is not the name of a server`,
		"v=v6mig-1 url=https://-a/ t=b":           `url: "-a" is not the name of a server`,
		"v=v6mig-1 url=https://あ.example.jp/ t=b": `url: "\u3042.example.jp" is not the name of a server`,
		"v=v6mig-1 url=https://%zz/ t=b":          `url: "https://%zz/" is not a URL`,
	} {
		wantError(t, errorOf(ParseRecord([]string{text})), "TXT record "+quote(text)+": "+want)
	}
	long := "v=v6mig-1 url=https://" + strings.Repeat("a", 300)
	_, err := ParseRecord([]string{long})
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("a long record is shown whole: %v", err)
	}
	_, err = ParseRecord([]string{"v=\x1b[2J"})
	if err == nil || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("the record steers the terminal: %q", err)
	}
}

func errorOf[T any](_ T, err error) error { return err }

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=v6mig-1 url=https://vne.example.jp/rule.cgi t=b")
	f.Add("v=v6mig-1 url=http://[2001:db8::1%25eth0]/ t=a")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRecord([]string{text})
		if err == nil && (r.URL.Hostname() == "" || r.Verify && r.URL.Scheme != "https") {
			t.Errorf("%q is taken for %+v", text, r)
		}
	})
}
