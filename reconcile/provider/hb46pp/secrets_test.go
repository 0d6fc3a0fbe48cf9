package hb46pp

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
)

// TestSecretsUnsaid: credentials that a server sends back, in whatever form, are shown nowhere.
func TestSecretsUnsaid(t *testing.T) {
	l := newLine(t)
	var location, body string
	server := l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) {
		if location != "" {
			w.Header().Set("Location", location)
			w.WriteHeader(307)
		}
		io.WriteString(w, body)
	})
	l.TXT("v=v6mig-1 url=" + server + "/ t=b")
	q := Question{Credentials: Credentials{"user1", "secret1", "vne.example.jp"}, Token: Token{someToken, []string{server}, true}}
	for _, test := range []struct{ location, body, want string }{
		{"https://%zz?Pass=secret1", "", `307 to "https://%zz?Pass=***", which is not a URL`},
		{"https://%zz?password=secret1", "", `307 to "https://%zz?password=***", which is not a URL`},
		{"https://%zz?password=other", "", `307 to "https://%zz?password=***", which is not a URL`},
		{"https://%zz/xsecret1x", "", `307 to "https://%zz/x***x", which is not a URL`},
		{"https://%zz/" + someToken, "", `307 to "https://%zz/***", which is not a URL`},
		{"http://vne.example.jp/user1/secret1", "", "307 to http://vne.example.jp/***/***: a redirection from https must be to https"},
		{"", `{"enabler_name": "E", "auth": "secret1", "order": []}`, `auth: "***" is unknown: it must be req, bad or ok`},
		{"", `{"enabler_name": "E", "order": [["user1"]]}`, `order[0]: "[\"***\"]" is not the name of a method such as map_e`},
	} {
		location, body = test.location, test.body
		_, err := l.ask(q)
		if err != nil {
			err = errors.New(ports.ReplaceAllString(err.Error(), "example.jp"))
		}
		wantError(t, err, "https://vne.example.jp/: "+test.want)
	}

	location, body = "", `{"enabler_name": "E of secret1", "service_name": "user1", "isp_name": "`+someToken+`", "order": ["secret1", "464xlat"]}`
	answer, err := l.ask(q)
	if err != nil {
		t.Fatal(err)
	}
	if r := answer.Reply; r.Enabler != "E of ***" || r.Service != "***" || r.ISP != "***" || !slices.Equal(r.Order, []string{"464xlat"}) {
		t.Errorf("%+v", r)
	}
}

// TestSecretsShort: a text stays what it is where there is nothing to hide, or so little that it is everywhere.
func TestSecretsShort(t *testing.T) {
	const text = "https://vne.example.jp/: 307 to another server: it has a user in it"
	for _, c := range []Credentials{{}, {"u", "p", "a"}, {"ser", "the", "a"}} {
		s := Question{Credentials: c}.secrets()
		if err := errors.New(text); s.hushError(err) != err || s.Replace(text) != text {
			t.Errorf("%+v: %v", c, s.hushError(err))
		}
		wantError(t, s.hushError(errors.New("307 to /?user="+c.User+"x&pass="+c.Password+"x")), "307 to /?user=***&pass=***")
	}
	// One that begins with another goes whole.
	s := Question{Credentials: Credentials{"name", "name-and-more", "a"}}.secrets()
	if got := s.Replace("/name-and-more/name/"); got != "/***/***/" {
		t.Error(got)
	}
}
