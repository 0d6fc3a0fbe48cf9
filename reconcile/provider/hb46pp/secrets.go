package hb46pp

import (
	"errors"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// shortest is the length of the shortest value that is removed from any text. A shorter one is part of many words, and
// removing it would make the text unreadable.
const shortest = 4

// secretPairs are the secret parameters, whatever their values.
var secretPairs = regexp.MustCompile(`(?i)\b(token|user(?:name)?|pass(?:word)?)=[0-9A-Za-z_%-]+`)

// secrets removes credentials and token from texts. A server may send them back anywhere in its answer.
type secrets struct{ *strings.Replacer }

func (q Question) secrets() secrets {
	values := []string{q.User, q.Password, q.Token.Value}
	// The longest first: one may begin with another.
	sort.Slice(values, func(i, j int) bool { return len(values[i]) > len(values[j]) })
	var pairs []string
	for _, value := range values {
		if len(value) >= shortest {
			pairs = append(pairs, value, "***")
		}
	}
	return secrets{strings.NewReplacer(pairs...)}
}

// hushError removes the values, and what looks like one, from an error.
func (s secrets) hushError(err error) error {
	was := err.Error()
	if text := secretPairs.ReplaceAllString(s.Replace(was), "$1=***"); text != was {
		return errors.New(text)
	}
	return err
}

// hushReply removes the values from the names in a reply, which is shown and stored, and methods that have one in their
// name, which this program does not support.
func (s secrets) hushReply(r *Reply) {
	for _, text := range []*string{&r.Enabler, &r.Service, &r.ISP} {
		*text = s.Replace(*text)
	}
	r.Order = slices.DeleteFunc(r.Order, func(name string) bool {
		_, ok := methodOf(name)
		return !ok && s.Replace(name) != name
	})
}
