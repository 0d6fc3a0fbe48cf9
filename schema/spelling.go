package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"golang.org/x/text/width"
)

// synonyms are the words of OpenWrt, of the providers' own answers (HB46PP), of
// routers and of the kernel for keys and values that have another name here.
var synonyms = map[string]string{
	"peeraddr": "br", "aftr": "ds-lite", "dslite": "ds-lite", "lw4over6": "lw4o6", "ipip6": "ipip", "ip6prefix": "ipv6", "ip6prefixlen": "ipv6", "ipaddr": "ipv4", "ip4prefixlen": "ipv4", "ealen": "ea-bits", "offset": "psid-offset",
	"interface": "wan", "tunlink": "wan", "isp": "provider", "port-forward": "forwards", "redirect": "forwards", "dport": "port", "proto": "protocol",
	"dest": "to", "target": "to", "host": "to", "username": "user", "pass": "password", "hb46pp": "discover", "timeouts": "conntrack", "established": "tcp-established",
	"any": "both", "all": "both", "tcp+udp": "both", "tcp/udp": "both", "deny": "drop", "reject": "drop", "allow": "accept",
	"v6プラス": "v6plus", "jpne": "v6plus", "jpix": "v6plus", "クロスパス": "xpass", "v6コネクト": "v6connect", "dhcpv6": "pd", "dhcpv6-pd": "pd", "slaac": "ra",
}

// otherProviders are names of services without rules of their own.
var otherProviders = map[string]string{
	"ds-lite":   `it is a key of its own, as in "ds-lite: {aftr: gw.transix.jp}"`,
	"asahi-net": several, "nifty": several, "@nifty": several, "so-net": several, "gmo": several,
}

const several = `its lines are of several services, which "auto" tells apart by the prefix`

// Nearest returns the word that is meant by a misspelt one, or "".
func Nearest(word string, known []string) string {
	word = strings.ReplaceAll(strings.ToLower(fold(word)), "_", "-")
	if synonym, is := synonyms[word]; slices.Contains(known, synonym) {
		return synonym
	} else if is || len(word) > 64 {
		return "" // A word that is spelt alike has another meaning.
	}
	best, least := "", max(utf8.RuneCountInString(word)/3, 1)+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// unknownKey returns what to print about a key that is not in the table, and
// which one was meant, if any.
func unknownKey(word string, keys []Key) (message, meant string) {
	var known []string
	for _, k := range keys {
		known = append(known, k.Name)
	}
	message = "unknown key " + quote(word)
	if meant = Nearest(word, known); meant != "" {
		return message + "; did you mean " + quote(meant) + "?", meant
	}
	if meant = Nearest(word, []string{"ipv6", "ipv4", "ea-bits", "psid-offset"}); meant != "" && slices.Contains(known, "rules") {
		return message + `; below "rules:" there is ` + quote(meant), ""
	}
	return message + "; the keys here are " + list(known, "and"), ""
}

func lookup(keys []Key, name string) *Key {
	if i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name }); i >= 0 {
		return &keys[i]
	}
	return nil
}

// fold turns the full-width forms of a Japanese input method into ASCII, and trims.
func fold(s string) string { return strings.TrimSpace(width.Fold.String(s)) }

// quote shows a piece of the file; what does not print is escaped.
func quote(s string) string { return strconv.Quote(clip(s)) }

// clip keeps a sentence a sentence, whatever the file has.
func clip(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// list joins words as a sentence does: "a, b or c".
func list(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}

// fullWidth points out characters near a line that look like YAML's but are not.
func fullWidth(lines []string, line int) string {
	for i := max(line-1, 1); i <= min(line+1, len(lines)); i++ {
		code, _, _ := strings.Cut(lines[i-1], " #")
		if at := strings.IndexAny(code, "：\u3000\u00a0"); at >= 0 {
			bad, _ := utf8.DecodeRuneInString(code[at:])
			if bad == '：' {
				return fmt.Sprintf(`line %d has %U, which must be ":"`, i, bad)
			}
			return fmt.Sprintf("line %d has %U, which must be an ASCII space", i, bad)
		}
	}
	return ""
}
