// Package lab is the test bed of the end-to-end tests.
//
// It has a Debian virtual machine set up by cloud-init as Proxmox does it, a
// LAN host, the line's router, resolver and DHCPv6 server, the far end of the
// line in one of its modes, which judges every packet, and a small IPv4
// internet:
//
//	lan ──tap── eth0 [ VM ] eth1 ──tap── wan ──veth── inet
//	192.168.1.10   192.168.1.5           RA, BR, judge   203.0.113.10…15
//
// lan, wan and inet are anonymous network namespaces of the test process:
// nothing of them is visible on the host, they need no names, so any number
// of laboratories run side by side, and they vanish with the process. To look
// into one while a test runs: nsenter --net=/proc/PID/fd/N.
//
// Building the image needs root and mmdebstrap, running it needs root and
// QEMU; KVM is not needed. Require says what is missing.
package lab
