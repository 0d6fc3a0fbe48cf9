package main

import (
	"fmt"
	"regexp"
	"strings"

	"mape-netplan/schema"
)

const manualHead = `.\" Generated from schema/keys.go by "go generate ./schema".
.TH MAPE\-NETPLAN.YAML 5 "" mape\-netplan "File Formats"
.SH NAME
mape\-netplan.yaml \- configuration of an IPv4 gateway over an IPoE line (MAP\-E)
.SH SYNOPSIS
.I /etc/mape\-netplan.yaml
.SH DESCRIPTION
The file is YAML and has the section
.BR mape .
Other keys at the top level belong to other programs and are ignored, so that
the section can stand in a file of theirs.
Every key has a default:
.B "mape: {}"
is a whole section.
.PP
.BR mape\-netplan (8)
reads
.IR /etc/mape\-netplan.yaml ,
where cloud\-init's
.B write_files
can put it, or with
.B \-\-config
another file;
.B \-
is standard input.
With
.B \-\-root\-dir
.I DIR
the default is the file below
.IR DIR .
The units that
.B mape\-netplan install
writes read the file that
.B install
was given.
.PP
.B mape\-netplan validate
checks a section and reports every problem with its line and column.
Numbers are decimal, or hexadecimal as in
.BR 0x34 .
Times are written as in
.BR 2h4m ,
.B 90s
or
.BR 1d .
An IPv6 address that ends in a colon, or that stands between braces, needs quotes.
.SH KEYS
Only one of
.BR provider ,
.BR rules ,
.BR softwire ,
.BR ds\-lite ,
.B ipip
and
.B lw4o6
can be given.
`

const manualTail = `.SH EXAMPLES
The provider is recognized by the prefix of the line:
.PP
.EX
mape: {}
.EE
.PP
A line of OCN, with two interfaces, and SSH of one host at a port of the set:
.PP
.EX
mape:
  provider: ocn
  wan: eth1
  lan: eth0
  forwards:
    \- {port: 5184, protocol: tcp, to: "192.168.1.10:22"}
.EE
.PP
A rule of your own, the example of RFC 7597:
.PP
.EX
mape:
  br: 2001:db8:ffff::1
  rules:
    \- {ipv6: "2001:db8::/40", ipv4: 192.0.2.0/24, ea\-bits: 16}
.EE
.SH NOTES
.SS Forwards
Only ports of the line's own set can be forwarded.
.B mape\-netplan ports \-\-suggest 4
names four that are free.
The service sees the client's address.
From the LAN and from the gateway the same address and port work (hairpin); a service on the LAN then sees the gateway's address.
.PP
Removing a forward closes its connections.
Adding one may close connections that use its port; all others continue.
Connections that the service opens itself do not use the forwarded port.
.PP
A Docker container on the gateway is reached by its published port on an address of the gateway, such as
.BR "to: \(dq192.168.1.5:8080\(dq" .
Docker's own rules match only addresses that the machine has, and the shared one is not among them.
.SS Times
How long a connection is tracked decides how soon its port can be used again.
The minimums are those of RFC 5382 and RFC 4787 where these have one.
The times apply to new connections through the tunnel and to forwarded ports.
Connections that
.B inbound: accept
lets in and another table translates keep the machine's times. After a flush of the ruleset or a change of these times,
connections that are open already have the machine's times until they end.
Other connections of the machine keep theirs.
.SS Delegated prefixes
DHCPv6 delegates a prefix to one router of a line.
Until it has been delegated,
.B mape\-netplan plan
shows the request for one and exits 3.
With
.BR "provider: discover" ,
run
.B mape\-netplan apply
or
.B install
first;
.B plan
never queries the line.
.SH FILES
.TP
.I /etc/mape\-netplan.yaml
the section
.TP
.I /etc/netplan/99\-ipoe\-gw.yaml
what
.B mape\-netplan apply
makes of it for netplan
.SH SEE ALSO
.BR mape\-netplan (8),
.BR netplan (5),
.BR systemd.network (5)
.PP
RFC 7597 (MAP\-E), RFC 7598, RFC 4787, RFC 5382
`

// manualPage is mape-netplan.yaml(5).
func manualPage() []byte {
	return []byte(manualHead + manualKeys() + manualTail)
}

// manualKeys describes the keys in the macros of man(7).
func manualKeys() string {
	var b strings.Builder
	for _, t := range schema.Tables() {
		heading := strings.Replace(t.English, "key", "Keys", 1)
		if t.Name == "section" {
			heading = "Keys of `mape`"
		}
		fmt.Fprintf(&b, ".SS %s\n", roff(heading))
		for _, k := range t.Keys {
			note := ""
			switch {
			case k.Required:
				note = "; required"
			case k.Default != "":
				note = "; default `" + k.Default + "`"
			}
			fmt.Fprintf(&b, ".TP\n%s\n%s.\n", roff("`"+k.Name+"` ("+k.Kind().English+note+")"), roff(k.English))
		}
	}
	return b.String()
}

var (
	code    = regexp.MustCompile("`([^`]*)`")
	special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "–", `\(en`, "−", `\-`, "’", `\(cq`)
)

// roff turns text with `code` into roff. A sentence begins with a capital.
func roff(s string) string {
	return code.ReplaceAllString(special.Replace(capital(s)), `\fB$1\fR`)
}

// capital begins a text as a sentence does. Code stays as it is.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
