package hb46pp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
)

// TestCertificates: t=b never falls back.
func TestCertificates(t *testing.T) {
	l := newLine(t)
	stranger, key := hb46pptest.Authority(t)
	for name, test := range map[string]struct {
		server string
		want   string
	}{
		"another name": {l.Serve(l.Certificate("other.example.jp"), never(t)),
			"tls: failed to verify certificate: x509: certificate is valid for other.example.jp, not vne.example.jp"},
		"an unknown authority": {l.Serve(l.CertificateFrom(stranger, key, "vne.example.jp", time.Now().Add(time.Hour)), never(t)),
			"tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		"expired": {l.Serve(l.CertificateFrom(l.CA, l.Key, "vne.example.jp", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)), never(t)),
			"tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time TIME is after 2020-01-01T00:00:00Z"},
	} {
		l.TXT("v=v6mig-1 url=" + test.server + "/rule.cgi t=b")
		_, err := l.ask(Question{})
		var failure *Failure
		if !errors.As(err, &failure) || failure.Event != NoValidAnswer {
			t.Fatalf("%s: %v", name, err)
		}
		text := err.Error()
		if before, after, ok := strings.Cut(text, "current time "); ok { // now
			_, after, _ = strings.Cut(after, " ")
			text = before + "current time TIME " + after
		}
		wantError(t, errors.New(text), test.server+"/rule.cgi: "+strings.Replace(test.want, "signed by unknown authority",
			`signed by unknown authority (possibly because of "x509: ECDSA verification failure" while trying to verify candidate authority certificate "Test CA")`, 1))
	}
	// A server of http where https is said, which answers in the clear.
	plain := l.Serve(nil, never(t))
	l.TXT("v=v6mig-1 url=" + strings.Replace(plain, "http:", "https:", 1) + "/ t=b")
	l.wantFailure(NoValidAnswer, "https://vne.example.jp:PORT/: tls: first record does not look like a TLS handshake")
	if len(l.Asked()) > 0 {
		t.Errorf("asked %v", l.Asked())
	}
}

func never(t *testing.T) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }
}

// TestBadAnswers are those that are bad in one way each.
func TestBadAnswers(t *testing.T) {
	l := newLine(t)
	var answer http.HandlerFunc
	server := l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) { answer(w, r) })
	l.TXT("v=v6mig-1 url=" + server + "/ t=b")
	send := func(code int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(header, value)
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	for _, test := range []struct {
		answer http.HandlerFunc
		want   string
	}{
		{send(403, "X", "", sample), "status 403 Forbidden: the server does not know this line's IPv6 address"},
		{send(404, "X", "", sample), "status 404 Not Found: the server does not know this line's IPv6 address"},
		{send(500, "X", "", sample), "status 500 Internal Server Error: the protocol allows only 200 and 307"},
		{send(204, "X", "", ""), "status 204 No Content: the protocol allows only 200 and 307"},
		{send(777, "X", "", sample), "status 777: the protocol allows only 200 and 307"},
		{send(302, "Location", server+"/other", ""), "status 302 Found: the protocol allows only 200 and 307"},
		{send(301, "Location", server+"/other", ""), "status 301 Moved Permanently: the protocol allows only 200 and 307"},
		{send(307, "X", "", ""), "307 without a Location"},
		{send(307, "Location", "http://vne.example.jp/", ""), "307 to http://vne.example.jp/: a redirection from https must be to https"},
		{send(307, "Location", "ftp://vne.example.jp/", ""), `307 to another server: "ftp://vne.example.jp/" is not an http or https URL with a server name`},
		{send(307, "Location", "https://192.0.2.1/", ""), "307 to another server: 192.0.2.1 is an IPv4 address: the server must be reached over IPv6"},
		{send(307, "Location", "https://u:secret@vne.example.jp/", ""), "307 to another server: it must not contain a user: user and password are parameters of the request"},
		{send(307, "Location", "https://%zz", ""), `307 to "https://%zz", which is not a URL`},
		{send(200, "Content-Encoding", "gzip", "\x1f\x8b"), "the answer is not JSON"},
		{send(200, "X", "", "<html>"), "the answer is not JSON"},
		{send(200, "X", "", ""), "the answer is not JSON"},
		{send(200, "X", "", `{"enabler_name": "E"}`), `order: is missing: it must be a list such as ["map_e"]`},
		{send(200, "X", strings.Repeat("x", 70<<10), sample), "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 65536 bytes; aborted"},
		{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, sample[:100])
		}, "the answer is incomplete: unexpected EOF"},
		{func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, "the server closed the connection without an answer"},
	} {
		answer = test.answer
		l.wantFailure(NoValidAnswer, "https://vne.example.jp:PORT/: "+test.want)
	}
}

// TestNothing: "order: []" is a good answer, and it says that there is nothing.
func TestNothing(t *testing.T) {
	l := newLine(t)
	l.TXT("v=v6mig-1 url=" + l.Good(`{"enabler_name": "E", "ttl": 3600, "order": []}`) + "/ t=b")
	answer, err := l.ask(Question{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, answer.Reply.Offers(), "E offers this line nothing (order: [])")
}

func TestLoops(t *testing.T) {
	l := newLine(t)
	hops := 0
	server := l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) {
		if hops++; r.URL.Path == "/away" {
			w.Header().Set("Location", fmt.Sprintf("/away?n=%d", hops))
		} else {
			w.Header().Set("Location", r.URL.String()) // With all of the question in it.
		}
		w.WriteHeader(307)
	})
	for _, path := range []string{"/", "/away"} {
		hops = 0
		l.TXT("v=v6mig-1 url=" + server + path + " t=b")
		l.wantFailure(NoValidAnswer, "https://vne.example.jp:PORT"+path+": more than 5 redirections (307), the last one to https://vne.example.jp:PORT"+path)
		if hops != 6 {
			t.Errorf("%s: %d questions, want 6", path, hops)
		}
	}
	for _, u := range l.Asked() {
		if len(u.RawQuery) > 120 {
			t.Errorf("the question grows: %s", u)
		}
	}
}

// TestLongBody: 1 GB costs the memory and the time of 1 MiB, whether the server says how long it is or not.
func TestLongBody(t *testing.T) {
	l := newLine(t)
	var sent int64
	for _, said := range []bool{true, false} {
		done := make(chan bool)
		server := l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			if sent = 0; said {
				w.Header().Set("Content-Length", "1000000000")
			}
			chunk := []byte(strings.Repeat(" ", 64<<10))
			for sent < 1e9 {
				n, err := w.Write(chunk)
				if sent += int64(n); err != nil {
					return
				}
			}
		})
		l.TXT("v=v6mig-1 url=" + server + "/ t=b")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		l.wantFailure(NoValidAnswer, "https://vne.example.jp:PORT/: the answer is longer than 1048576 bytes")
		<-done
		runtime.ReadMemStats(&after)
		// All of the server's and the client's together, garbage included.
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
			t.Errorf("said %v: %d bytes allocated", said, grown)
		}
		if sent > 64<<20 {
			t.Errorf("said %v: %d bytes sent", said, sent)
		}
	}
}

// TestSlow: a server that drips ends with the time that a question has, wherever it drips.
func TestSlow(t *testing.T) {
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"body": {drip, "the answer is incomplete: no complete answer within 500ms"},
		"head": {func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: ")
			for err == nil {
				_, err = io.WriteString(conn, "x")
				time.Sleep(20 * time.Millisecond)
			}
		}, "no answer within 300ms"},
		"nothing": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer within 300ms"},
		"a 307 every time": {func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(150 * time.Millisecond)
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		}, "no complete answer within 500ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			// One bound at a time: on a busy machine the other could come first.
			if l.client.Server, l.client.Total = time.Minute, 500*time.Millisecond; strings.HasPrefix(test.want, "no answer") {
				l.client.Server, l.client.Total = 300*time.Millisecond, time.Minute
			}
			l.TXT("v=v6mig-1 url=" + l.Serve(l.Certificate("vne.example.jp"), test.answer) + "/ t=b")
			l.wantFailure(NoValidAnswer, "https://vne.example.jp:PORT/: "+test.want)
		})
	}
}

// TestCredentialsUnsaid: the error of a server that sends the question back is without what only it may know.
func TestCredentialsUnsaid(t *testing.T) {
	l := newLine(t)
	var echo func(http.ResponseWriter, *http.Request)
	server := l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) { echo(w, r) })
	l.TXT("v=v6mig-1 url=" + server + "/ t=b")
	token := Token{someToken, []string{server}, true}
	for want, answer := range map[string]func(http.ResponseWriter, *http.Request){
		`307 to "https://%zz?`: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://%zz?pass=secret&"+r.URL.RawQuery)
			w.WriteHeader(307)
		},
		"malformed HTTP status code": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\n\r\n", r.URL)
			conn.Close()
		},
	} {
		echo = answer
		_, err := l.ask(Question{Credentials: Credentials{"user1", "secret", "vne.example.jp"}, Token: token})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "user1") ||
			strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), someToken[:8]) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestCredentialsStay: in each case that the specification forbids, no server hears of user and password; in the one
// that it allows, the server does.
func TestCredentialsStay(t *testing.T) {
	user := Credentials{"user1", "secret", "vne.example.jp"}
	type start func(*line) string
	reply := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, sample) }
	trusted := func(l *line) string { return l.Serve(l.Certificate("vne.example.jp"), reply) }
	to := func(l *line, where string) string {
		return l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) {
			// The whole question comes back in the Location, password and all.
			w.Header().Set("Location", where+"?"+r.URL.RawQuery)
			w.WriteHeader(307)
		})
	}
	for name, test := range map[string]struct {
		c       Credentials
		record  start
		allowed int // questions that may have it
	}{
		"https, checked, equal": {user, func(l *line) string { return trusted(l) + "/ t=b" }, 1},
		"not checked":           {user, func(l *line) string { return trusted(l) + "/ t=a" }, 0},
		"http":                  {user, func(l *line) string { return l.Serve(nil, reply) + "/ t=a" }, 0},
		"another server":        {Credentials{"user1", "secret", "vne.example.com"}, func(l *line) string { return trusted(l) + "/ t=b" }, 0},
		"a bad certificate": {user, func(l *line) string {
			return l.Serve(l.Certificate("other.example.jp"), reply) + "/ t=b"
		}, 0},
		"307 to another server": {user, func(l *line) string {
			other := l.Serve(l.Certificate("other.example.jp"), reply)
			return to(l, strings.Replace(other, "vne", "other", 1)+"/") + "/ t=b"
		}, 1},
		"307 to http": {user, func(l *line) string { return to(l, l.Serve(nil, reply)+"/") + "/ t=b" }, 1},
		"307 from another server to the right one": {user, func(l *line) string {
			first := l.Serve(l.Certificate("other.example.jp"), func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", trusted(l)+"/")
				w.WriteHeader(307)
			})
			return strings.Replace(first, "vne", "other", 1) + "/ t=b"
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t)
			l.TXT("v=v6mig-1 url=" + test.record(l))
			l.ask(Question{Credentials: test.c})
			had := 0
			for _, u := range l.Asked() {
				if strings.Contains(u.String(), "secret") || strings.Contains(u.String(), "user1") {
					if had++; !strings.HasPrefix(u.Host, "vne.example.jp:") || !u.Query().Has("user") || u.Query().Get("pass") != "secret" {
						t.Errorf("it went to %s", u)
					}
				}
			}
			if had != test.allowed {
				t.Errorf("%d questions had it, want %d: %v", had, test.allowed, l.Asked())
			}
		})
	}
}
