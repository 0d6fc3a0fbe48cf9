package schema

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// A line that may hold a password is not shown.
var (
	secretKey  = regexp.MustCompile(`(?i)^(disco|hb46|cred|regis)|pas|psw|pwd?|secret`)
	secretText = regexp.MustCompile(`(?i)\b(pas|psw|pw|secret)|(disco\w*|regis\w*|hb46pp|credentials)["']?\s*[:=：]`)
	firstWord  = regexp.MustCompile(`^[\pL\p{Nd}_-]*`)
)

// hideSecrets hides the lines of every key that may have a password, up to the
// next key.
func (s *source) hideSecrets(docs []*yaml.Node) {
	s.hideIn(&yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: docs}, false, len(s.lines))
}

// hideIn goes through the keys of a node, which ends at a line at the latest.
func (s *source) hideIn(n *yaml.Node, secret bool, end int) {
	step := 1
	switch n.Kind {
	case yaml.AliasNode:
		s.hidden[n.Alias.Line] = secret || s.hidden[n.Alias.Line]
	case yaml.MappingNode:
		step = 2
	}
	for i := 0; i < len(n.Content); i += step {
		key, value, last := n.Content[i], n.Content[i+step-1], end
		if i+step < len(n.Content) {
			last = n.Content[i+step].Line
			if n.Style&yaml.FlowStyle == 0 {
				last = max(last-1, key.Line)
			}
		}
		inner := secret || step == 2 && secretKey.MatchString(key.Value)
		for line := key.Line; inner && !secret && line <= last; line++ {
			s.hidden[line] = true
		}
		s.hideIn(value, inner, last)
	}
}

// isSecret reports whether a path is a mapping with a password, or inside it.
func isSecret(path string) bool {
	for _, secret := range []string{"mape.discover", "mape.ipip.registration"} {
		if path == secret || strings.HasPrefix(path, secret+".") {
			return true
		}
	}
	return false
}

// keyName is a key without what may be a password: in "password:abc", YAML takes
// all of it for the key, because the colon has no blank after it.
func keyName(path, name string) string {
	if !isSecret(path) && !secretKey.MatchString(name) {
		return name
	}
	if word := firstWord.FindString(name); word != name {
		return word + "…"
	}
	return name
}
