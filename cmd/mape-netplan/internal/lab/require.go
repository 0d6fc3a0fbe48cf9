package lab

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// tools maps each program the laboratory runs to the Debian package that has it.
var tools = map[string]string{
	"qemu-system-x86_64": "qemu-system-x86",
	"qemu-img":           "qemu-utils",
	"mmdebstrap":         "mmdebstrap",
	"mke2fs":             "e2fsprogs",
	"genisoimage":        "genisoimage",
	"radvd":              "radvd",
	"kea-dhcp6":          "kea-dhcp6-server",
	"ssh":                "openssh-client",
	"ssh-keygen":         "openssh-client",
	"nft":                "nftables",
	"ping":               "iputils-ping",
	"traceroute":         "traceroute",
}

// Require skips the test where the laboratory cannot run, saying what is
// missing. With MAPE_CI=1 nothing may be missing, and it fails instead.
func Require(t testing.TB) {
	t.Helper()
	missing := Missing()
	switch {
	case missing == "":
	case os.Getenv("MAPE_CI") == "1":
		t.Fatal(missing)
	default:
		t.Skip(missing)
	}
}

// Missing is one sentence about what the laboratory lacks here, "" for nothing.
func Missing() string {
	if os.Getuid() != 0 {
		return "the virtual machine's networks need root"
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return "the virtual machine's networks need /dev/net/tun"
	}
	var packages []string
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			packages = append(packages, tool+" (package "+pkg+")")
		}
	}
	slices.Sort(packages)
	if len(packages) > 0 {
		return "the virtual machine needs " + strings.Join(packages, ", ")
	}
	return ""
}
