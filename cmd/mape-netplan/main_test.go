package main

import (
	"strings"
	"testing"
)

// TestPrinter: nothing that is printed controls a terminal, and the rest is as it was.
func TestPrinter(t *testing.T) {
	for text, want := range map[string]string{
		"OCN バーチャルコネクト　·▁█\t1 %\n": "OCN バーチャルコネクト　·▁█\t1 %\n",
		"eth0\x1b[2J\x07\r":       `eth0\u001b[2J\u0007\u000d`,
		"a\u009b31m\u202eb\u2028": `a\u009b31m\u202eb\u2028`,
		"\xff\xc0eth\xe3\x81":     `\xff\xc0eth\xe3\x81`,
	} {
		var b strings.Builder
		if n, err := (&printer{Writer: &b}).Write([]byte(text)); n != len(text) || err != nil || b.String() != want {
			t.Errorf("%q: %q, %d, %v, want %q", text, b.String(), n, err, want)
		}
	}
}
