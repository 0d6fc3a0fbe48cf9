package schema

import (
	"errors"
	"regexp"

	"gopkg.in/yaml.v3"
)

// discover is a mapping.
type discover struct{ c *Config }

func (discover) want() string {
	return "keys and values such as {user: taro, password: abc-123, server: vne.example.jp}"
}

func (v discover) read(p *parser, path string, n *yaml.Node) {
	v.c.Discover = new(Discover)
	p.mapping(path, n, v.c.Discover.keys())
}

// A credential is what a provisioning server takes for a user or a password.
type credential struct {
	dst    *string
	secret bool // it is kept out of messages
}

var credentialForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (credential) want() string { return "up to 32 letters, digits, - and _, in quotes" }

func (v credential) read(p *parser, path string, n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && credentialForm.MatchString(n.Value):
		*v.dst = n.Value
	case !v.secret:
		readText(p, path, n, v.want(), v.dst, func(string) (string, error) {
			return "", errors.New("is not what a provisioning server takes; write " + v.want())
		})
	case n.Kind == yaml.ScalarNode && n.ShortTag() != "!!str" && !isTemplate(n):
		p.report(at(n), path, "is not text to YAML; put quotes around it")
	default:
		p.report(at(n), path, "is not what a provisioning server takes; write %s", v.want())
	}
}

// serverName is the name of a host, without a scheme, a port or a path.
type serverName struct{ dst *string }

var serverNameForm = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?)+\.?$`)

func (serverName) want() string { return "the name of the provisioning server, such as vne.example.jp" }

func (v serverName) read(p *parser, path string, n *yaml.Node) {
	readText(p, path, n, v.want(), v.dst, func(s string) (string, error) {
		if len(s) > 253 || !serverNameForm.MatchString(s) {
			return "", errors.New(quote(s) + " is no name of a server; write " + v.want() + ", without a scheme, a port or a path")
		}
		return s, nil
	})
}
