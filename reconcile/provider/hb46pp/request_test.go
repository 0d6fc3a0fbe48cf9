package hb46pp

import (
	"net/url"
	"strings"
	"testing"
)

const someToken = "640756965820d3b9025b6941f9590af6802830ba58663fe8f043dc92b576f17a"

func TestQuestionURL(t *testing.T) {
	const always = "vendorid=020000-mape_netplan&product=mape-netplan&version=1_4_2&capability=map_e,map_t,lw4o6,dslite,ipip,hubspoke"
	token := Token{someToken, []string{"https://vne.example.jp"}, true}
	for _, test := range []struct {
		name   string
		hop    string
		verify bool
		q      Question
		want   string
	}{
		{"nothing else", "https://vne.example.jp/rule.cgi", true, Question{}, "https://vne.example.jp/rule.cgi?" + always},
		{"the URL's own parameters stay", "http://vne.example.jp/?a=b&c", false, Question{}, "http://vne.example.jp/?a=b&c&" + always},
		{"ours replace the URL's, however they are written", "https://vne.example.jp/?us%65r=x&pass=y&token=z&version=9&v=1#f", true, Question{}, "https://vne.example.jp/?v=1&" + always},
		{"token, where it came from", "https://VNE.example.jp/", true, Question{Token: token}, "https://VNE.example.jp/?" + always + "&token=" + someToken},
		{"no token elsewhere", "https://other.example.jp/", true, Question{Token: token}, "https://other.example.jp/?" + always},
		{"no token at another port", "https://vne.example.jp:8443/", true, Question{Token: token}, "https://vne.example.jp:8443/?" + always},
		{"no token without the check that it came with", "https://vne.example.jp/", false, Question{Token: token}, "https://vne.example.jp/?" + always},
		{"no token over http", "http://vne.example.jp/", false, Question{Token: token}, "http://vne.example.jp/?" + always},
	} {
		test.q.Version = "v1.4.2"
		got := test.q.url(mustURL(test.hop), test.verify)
		if got.String() != test.want {
			t.Errorf("%s:\n  %s\nwant\n  %s", test.name, got, test.want)
		}
		if _, err := url.ParseQuery(got.RawQuery); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestCredentialsMayGo is section 3.3, user: the only case, and each of the others.
func TestCredentialsMayGo(t *testing.T) {
	user := Credentials{"u", "p", "vne.example.jp"}
	for _, test := range []struct {
		name   string
		c      Credentials
		hop    string
		verify bool
		want   bool
	}{
		{"https, verified, equal", user, "https://vne.example.jp/", true, true},
		{"another port of the server", user, "https://vne.example.jp:8443/", true, true},
		{"equal but for case and the root", user, "https://VNE.example.jp./", true, true},
		{"not verified", user, "https://vne.example.jp/", false, false},
		{"http", user, "http://vne.example.jp/", true, false},
		{"http, not verified", user, "http://vne.example.jp/", false, false},
		{"another server", user, "https://vne.example.com/", true, false},
		{"a name below", user, "https://a.vne.example.jp/", true, false},
		{"a name above", user, "https://example.jp/", true, false},
		{"its name at the front", user, "https://vne.example.jp.example.com/", true, false},
		{"no server given", Credentials{"u", "p", ""}, "https://vne.example.jp/", true, false},
	} {
		if got := test.c.mayGo(mustURL(test.hop), test.verify); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
		u := Question{Credentials: test.c}.url(mustURL(test.hop), test.verify)
		if got := u.Query().Has("user") && u.Query().Has("pass"); got != test.want {
			t.Errorf("%s: %s", test.name, u)
		}
		if u.Query().Has("user") != u.Query().Has("pass") {
			t.Errorf("%s: one without the other: %s", test.name, u)
		}
	}
}

func TestCredentialsCheck(t *testing.T) {
	for _, c := range []Credentials{
		{"u", "", "a"}, {"", "p", "a"}, {"u", "p", ""}, {"u&v", "p", "a"}, {"u", "p a", "a"}, {"u", strings.Repeat("p", 33), "a"},
	} {
		wantError(t, c.check(), "credentials need a user, a password and a server; user and password are up to 32 letters, digits, - and _")
	}
}

// TestVersion: whatever the build says, it has the form of section 3.3.
func TestVersion(t *testing.T) {
	for version, want := range map[string]string{
		"": "0", "(devel)": "0", "v1.4.2": "1_4_2", "v1.4.2-0.20261124221500-3fe36ea22743": "1_4_2", "v0.0.0+dirty": "0_0_0",
		strings.Repeat("1", 90): strings.Repeat("1", 32),
	} {
		if got := versionOf(version); got != want {
			t.Errorf("%s is %s, want %s", version, got, want)
		}
	}
}
