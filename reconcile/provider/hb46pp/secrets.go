package hb46pp

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// shortest is the length of a value that is looked for in any text. A shorter one is in many words, and a text without
// it would tell nothing any more.
const shortest = 4

// secretPairs are the parameters that are between the user and the server, whatever their values.
var secretPairs = regexp.MustCompile(`(?i)\b(token|user(?:name)?|pass(?:word)?)=[0-9A-Za-z_%-]+`)

// secrets are what a server was told and others shall not read. A server may send them back in all that it says.
type secrets struct{ values *regexp.Regexp }

func (q Question) secrets() secrets {
	var all []string
	for _, value := range []string{q.User, q.Password, q.Token.Value} {
		if len(value) >= shortest {
			all = append(all, value)
		}
	}
	if len(all) == 0 {
		return secrets{}
	}
	// The longest first: one may begin with another.
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var forms []string
	for _, value := range all {
		forms = append(forms, written(value))
	}
	return secrets{regexp.MustCompile(strings.Join(forms, "|"))}
}

// written matches a value, of which each character may be percent-encoded (RFC 3986, section 2.1), or as much of its
// beginning as there is before [quote] cuts a text off.
func written(value string) string {
	whole, cut, ends := "", "", ""
	for i := range len(value) {
		char := fmt.Sprintf(`(?:%s|%%(?i:%02x))`, regexp.QuoteMeta(value[i:i+1]), value[i])
		whole += char
		if i >= shortest {
			cut += "(?:"
			ends += ")?"
		}
		cut += char
	}
	return whole + "|" + cut + ends + `(?:%[0-9A-Fa-f]?)?(?:…|\\u2026)`
}

// hush is a text without the values.
func (s secrets) hush(text string) string {
	if s.values == nil {
		return text
	}
	return s.values.ReplaceAllString(text, "***")
}

// hushError is an error of asking without the values and without what looks like one.
func (s secrets) hushError(err error) error {
	was := err.Error()
	if text := secretPairs.ReplaceAllString(s.hush(was), "$1=***"); text != was {
		return errors.New(text)
	}
	return err
}

// hushReply takes the values out of the names that a reply gives. It is shown, and kept. A method that is named so is
// none that this program does.
func (s secrets) hushReply(r *Reply) {
	for _, text := range []*string{&r.Enabler, &r.Service, &r.ISP} {
		*text = s.hush(*text)
	}
	r.Order = slices.DeleteFunc(r.Order, func(name string) bool { return name != mapE && s.hush(name) != name })
}
