package registration_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/provider/registration"
)

var ce = netip.MustParseAddr("2001:db8:1:2::1")

// TestRequest builds each provider's request, of credentials with every character that needs escaping.
func TestRequest(t *testing.T) {
	t.Parallel()
	const user, password = "user01", "p&ss w%rd"
	for _, test := range []struct{ provider, url, want string }{
		// The providers' papers, as Yamaha's, seil.jp's and the OPNsense plugin's examples have them.
		{"v6plus", "", "http://fcs.enabler.ne.jp/update?user=user01&pass=p%26ss%20w%25rd from 2001:db8:1:2::1"},
		{"transix", "", "http://update.transix.jp/request?username=user01&password=p%26ss%20w%25rd from 2001:db8:1:2::1"},
		{"transix", "http://update.transix.jp/other?kind=1&username=x#f", "http://update.transix.jp/other?kind=1&username=user01&password=p%26ss%20w%25rd from 2001:db8:1:2::1"},
		{"ocn", "http://ipoe-static.ocn.ad.jp/nic/update?hostname=token-0123", "http://ipoe-static.ocn.ad.jp/nic/update?hostname=token-0123 as user01:p&ss w%rd"},
		{"xpass", "https://ddnsweb1.example.jp/u?d=host.example&p=ddns%20pass&u=ddnsid", "https://ddnsweb1.example.jp/u?d=host.example&p=ddns%20pass&u=ddnsid&a=2001%3Adb8%3A1%3A2%3A%3A1 as user01:p&ss w%rd"},
		{"xpass", "https://ddnsweb1.example.jp/u?d=host.example&a=old&u=ddnsid", "https://ddnsweb1.example.jp/u?d=host.example&u=ddnsid&a=2001%3Adb8%3A1%3A2%3A%3A1 as user01:p&ss w%rd"},
		{"v6connect", "https://update.example.jp/", "https://update.example.jp/ as user01:p&ss w%rd from 2001:db8:1:2::1"},
		{"", "https://update.example.jp/set/{user}?k={password}&a={ce}", "https://update.example.jp/set/user01?k=p%26ss%20w%25rd&a=2001%3Adb8%3A1%3A2%3A%3A1 from 2001:db8:1:2::1"},
		{"", "https://update.example.jp/set", "https://update.example.jp/set as user01:p&ss w%rd from 2001:db8:1:2::1"},
		{"v6plus", "http://[2001:db8::80]/update", "http://[2001:db8::80]/update?user=user01&pass=p%26ss%20w%25rd from 2001:db8:1:2::1"},

		{"v6plus", "ftp://fcs.enabler.ne.jp/", "url must begin with https: only v6plus, transix and ocn have nothing else than http"},
		{"xpass", "", "url is missing: it must be the one of the contract"},
		{"v6connect", "", "url is missing: it must be the one of the contract"},
		{"v6connect", "http://update.example.jp/", "url must begin with https: only v6plus, transix and ocn have nothing else than http"},
		{"", "http://update.example.jp/", "url must begin with https: only v6plus, transix and ocn have nothing else than http"},
		{"ocn", "", `url must be the one of the contract, with "hostname=" in its query`},
		{"xpass", "https://ddnsweb1.example.jp/u", `url must be the one of the contract, with "d=" in its query`},
		{"v6plus", "http://user01:p%26ss@fcs.enabler.ne.jp/", "url must be one such as https://update.example.jp/request, without a user in it"},
		{"v6plus", "http://%zz/", "url must be one such as https://update.example.jp/request, without a user in it"},
		{"", "https://{user}.example.jp/", "url must be one such as https://update.example.jp/request, without a user in it"},
		{"other", "https://update.example.jp/", `provider "other" is not known`},
	} {
		r, err := registration.Contract{Provider: test.provider, URL: test.url, User: user, Password: password}.Request(ce)
		got := fmt.Sprint(err)
		if err == nil {
			got = r.URL.String()
			if r.User != "" {
				got += " as " + r.User + ":" + r.Password
			}
			if r.Source.IsValid() {
				got += " from " + r.Source.String()
			}
		}
		if got != test.want {
			t.Errorf("%s %s:\n  %s\nwant\n  %s", test.provider, test.url, got, test.want)
		}
	}
	for _, provider := range []string{"v6plus", "transix", "v6connect"} {
		err := registration.Contract{Provider: provider, URL: "https://update.example.jp/", User: "taro"}.Check()
		if err == nil || err.Error() != "user and password of the contract are missing" {
			t.Errorf("%s: %v", provider, err)
		}
	}
	if err := (registration.Contract{Provider: "v6plus", User: user, Password: password}).Check(); err != nil {
		t.Error(err)
	}
}

// TestJudge is what an answer says. None of it has more of the body than a word that is known.
func TestJudge(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		provider string
		status   int
		body     string
		want     string
		good     bool
	}{
		{"v6plus", 200, "OK", "200 OK: OK", true},
		{"v6plus", 200, " ok\r\n", "200 OK: ok", true},
		{"v6plus", 200, "NG", "it answers 200 OK: NG", false},
		{"v6plus", 200, "OKAY hush-hush", "it answers 200 OK with 14 bytes that do not say OK", false},
		{"v6plus", 200, "", "it answers 200 OK with 0 bytes that do not say OK", false},
		{"v6plus", 204, "OK", "it answers 204 No Content: OK", false},
		{"v6plus", 500, "hush-hush", "it answers 500 Internal Server Error", false},
		{"v6plus", 999, "", "it answers 999", false},
		{"transix", 400, "NG hush-hush", "it answers 400 Bad Request: NG", false},
		{"ocn", 200, "good 2001:db8::1", "200 OK: good", true},
		{"ocn", 200, "nochg", "200 OK: nochg", true},
		{"ocn", 200, "nohost", "it answers 200 OK: nohost", false},
		{"ocn", 401, "", "it answers 401 Unauthorized", false},
		{"xpass", 200, "<html>hush-hush", "200 OK", true},
		{"v6connect", 200, "badauth\n", "it answers 200 OK: badauth", false},
		{"", 200, "hush-hush", "200 OK", true},
	} {
		c := registration.Contract{Provider: test.provider, URL: "https://update.example.jp/?d=1&hostname=1", User: "taro", Password: "hush-hush"}
		r, err := c.Request(ce)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Judge(test.status, test.body)
		if err != nil {
			got = err.Error()
		}
		if got != test.want || (err == nil) != test.good {
			t.Errorf("%s: %d %q: %s; want %s", test.provider, test.status, test.body, got, test.want)
		}
	}
}

// TestFollow: credentials go to no other host, and not from https to http. No error has the address of one.
func TestFollow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ from, to, want string }{
		{"https://a.example/u", "/v?x=1", "https://a.example/v?x=1"},
		{"https://a.example/u", "https://A.example:444/v", "https://A.example:444/v"},
		{"http://a.example/u", "https://a.example/v", "https://a.example/v"},
		{"https://a.example/u", "http://a.example/v", "it redirects from https to http, which is not followed"},
		{"https://a.example/u", "https://b.example/v?pass=hush-hush", "it redirects to another host, which is not followed"},
		{"https://a.example/u", "//b.example/v", "it redirects to another host, which is not followed"},
		{"https://a.example/u", "file:///etc/passwd", "it redirects to something that is not a URL"},
		{"https://a.example/u", "", "it redirects to something that is not a URL"},
		{"https://a.example/u", ":hush-hush", "it redirects to something that is not a URL"},
	} {
		r, err := registration.Contract{Provider: "transix", URL: test.from, User: "taro", Password: "hush-hush"}.Request(ce)
		if err != nil {
			t.Fatal(err)
		}
		next, err := r.Follow(test.to)
		got := fmt.Sprint(err)
		if err == nil {
			got = next.URL.String()
		}
		if got != test.want || strings.Contains(got, "hush") {
			t.Errorf("%s to %s: %s; want %s", test.from, test.to, got, test.want)
		}
	}
}

// TestPause is how often a provider is tried.
func TestPause(t *testing.T) {
	t.Parallel()
	half := func() float64 { return 0.5 }
	for provider, want := range map[string]string{
		"v6plus": "[10s 10s 20m0s 20m0s]", "transix": "[10s 10s 20m0s 20m0s]", "ocn": "[3s 3s 20m0s 20m0s]",
		"xpass": "[3s 3s 3s 3s 20m0s 20m0s]", "v6connect": "[3s 3s 3s 3s 20m0s 20m0s]", "": "[3s 3s 3s 3s 20m0s 20m0s]",
	} {
		r, err := registration.Contract{Provider: provider, URL: "https://update.example.jp/?d=1&hostname=1", User: "taro", Password: "hush-hush"}.Request(ce)
		if err != nil {
			t.Fatal(err)
		}
		var all []time.Duration
		for failures := 1; len(all) == 0 || all[max(0, len(all)-2)] < time.Minute; failures++ {
			all = append(all, r.Pause(failures, half))
		}
		if got := fmt.Sprint(all); got != want {
			t.Errorf("%q: %s, want %s", provider, got, want)
		}
	}
}
