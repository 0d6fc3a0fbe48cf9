package hb46pp

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// shortest is the length of a value that is looked for in any text. A shorter one is in many words, and a text without
// it would tell nothing any more.
const shortest = 4

// secretPairs are the parameters that are between the user and the server, whatever their values.
var secretPairs = regexp.MustCompile(`(?i)\b(token|user(?:name)?|pass(?:word)?)=[0-9A-Za-z_%-]+`)

// secrets takes out what a server was told and others shall not read. A server may send it back in all that it says.
type secrets struct{ *strings.Replacer }

func (q Question) secrets() secrets {
	values := []string{q.User, q.Password, q.Token.Value}
	// The longest first: one may begin with another.
	slices.SortFunc(values, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, value := range values {
		if len(value) >= shortest {
			pairs = append(pairs, value, "***")
		}
	}
	return secrets{strings.NewReplacer(pairs...)}
}

// hushError is an error of asking without the values and without what looks like one.
func (s secrets) hushError(err error) error {
	was := err.Error()
	if text := secretPairs.ReplaceAllString(s.Replace(was), "$1=***"); text != was {
		return errors.New(text)
	}
	return err
}

// hushReply takes the values out of the names that a reply gives. It is shown, and kept. A method that is named so is
// none that this program does.
func (s secrets) hushReply(r *Reply) {
	for _, text := range []*string{&r.Enabler, &r.Service, &r.ISP} {
		*text = s.Replace(*text)
	}
	r.Order = slices.DeleteFunc(r.Order, func(name string) bool { return name != mapE && s.Replace(name) != name })
}
