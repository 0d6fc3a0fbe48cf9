package schema

import (
	"regexp"

	"gopkg.in/yaml.v3"
)

const (
	credentialForm = `^[A-Za-z0-9_-]{1,32}$`
	serverForm     = `^[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?)+\.?$`
)

var (
	credentialRegexp = regexp.MustCompile(credentialForm)
	serverRegexp     = regexp.MustCompile(serverForm)
)

// A credential is what a provisioning server takes for a user or a password.
type credential struct{ dst *string }

func (credential) kind() Kind {
	return Kind{"up to 32 letters, digits, - and _, in quotes", "text", "文字列", map[string]any{"type": "string", "pattern": credentialForm}}
}

func (v credential) read(p *parser, path string, n *yaml.Node, want string) {
	readText(p, path, n, want, v.dst, func(s string) (string, error) {
		if !credentialRegexp.MatchString(s) {
			return "", errMalformed
		}
		return s, nil
	})
}

// serverName is the name of a host, without a scheme, a port or a path.
type serverName struct{ dst *string }

func (serverName) kind() Kind {
	return Kind{"the name of a server, without a scheme, a port or a path", "name", "名前", map[string]any{"type": "string", "pattern": serverForm}}
}

func (v serverName) read(p *parser, path string, n *yaml.Node, want string) {
	readText(p, path, n, want, v.dst, func(s string) (string, error) {
		if len(s) > 253 || !serverRegexp.MatchString(s) {
			return "", errMalformed
		}
		return s, nil
	})
}
