package firewall_test

import (
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// TestMain runs more tests beside each other than there are processors: most of their time they wait for packets.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		flag.Set(f.Name, "8")
	}
	os.Exit(m.Run())
}

// foreignPaths are those of a gateway between eth0 and eth1, and the rules in a namespace.
func foreignPaths(t testing.TB, n *hosttest.NS) (firewall.Paths, firewall.Foreign) {
	t.Helper()
	root, err := os.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	h := &host.Host{Root: root, NFT: nft.OpenNS(n.FD())}
	lan, wan := kernel.Link{Name: "eth0", Index: index(t, n, "eth0"), Addresses: []kernel.Inet{gatewaytest.Inet("192.168.1.1/24")}}, kernel.Link{Name: "eth1", Index: 1000}
	tunnel := kernel.Link{Name: "mape0", Index: index(t, n, "mape0")}
	var f firewall.Foreign
	n.Do(func() { f, err = firewall.Read(h) })
	if err != nil {
		t.Fatal(err)
	}
	return firewall.Paths{
		Tunnel: tunnel, WAN: wan, LAN: []kernel.Link{lan}, Links: []kernel.Link{lan, wan, tunnel},
		CE: netip.MustParseAddr("2001:db8::1"), BR: netip.MustParseAddr("2001:db8:ffff::1"),
	}, f
}

func foreignWarnings(t testing.TB, n *hosttest.NS) []string { return warnings(foreignPaths(t, n)) }

func warnings(p firewall.Paths, f firewall.Foreign) []string {
	var all []string
	for _, o := range firewall.Obstacles(p, f) {
		all = append(all, o.String())
	}
	return all
}

// obey runs the commands that a warning prints, and reports whether they can be run here.
func obey(t testing.TB, n *hosttest.NS, warning string) bool {
	t.Helper()
	_, advice, _ := strings.Cut(warning, "to let that through: ")
	advice = strings.TrimSuffix(advice, " (until the next boot)")
	for _, command := range strings.Split(advice, "; ") {
		words := strings.Fields(strings.Replace(command, "tables ", "tables-nft ", 1))
		if !slices.Contains([]string{"nft", "iptables-nft", "ip6tables-nft"}, words[0]) {
			return false
		}
		n.Exec(t, words[0], words[1:]...)
	}
	return true
}

// withForwards are the warnings of a gateway that forwards, with a network of containers behind docker0.
func withForwards(t testing.TB, n *hosttest.NS, forwards []schema.Forward) []string {
	t.Helper()
	p, f := foreignPaths(t, n)
	p.Forwards = forwards
	p.Links = append(p.Links, kernel.Link{Name: "docker0", Index: index(t, n, "docker0"), Addresses: []kernel.Inet{gatewaytest.Inet("172.17.0.1/16")}})
	got := warnings(p, f)
	for i := range got {
		got[i] = anyNumber.ReplaceAllString(got[i], "$1 N")
	}
	return got
}

func index(t testing.TB, n *hosttest.NS, name string) int {
	t.Helper()
	i := 0
	n.Do(func() {
		data, err := os.ReadFile("/proc/thread-self/net/dev_snmp6/" + name)
		if err == nil {
			_, rest, _ := strings.Cut(string(data), "ifIndex")
			for _, c := range strings.Fields(rest)[0] {
				i = i*10 + int(c-'0')
			}
		}
	})
	return i
}

// install puts a file of rules into a namespace, with the program that it is for.
func install(t testing.TB, n *hosttest.NS, file string) {
	t.Helper()
	name := filepath.Join("testdata/foreign", file)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	program := []string{"nft", "-f", "-"}
	switch filepath.Ext(file) {
	case ".rules":
		program = []string{"iptables-nft-restore", "--noflush"}
	case ".rules6":
		program = []string{"ip6tables-nft-restore", "--noflush"}
	}
	feed(t, n, string(data), program...)
}

func feed(t testing.TB, n *hosttest.NS, rules string, program ...string) {
	t.Helper()
	hosttest.NeedTool(t, program[0])
	n.Do(func() {
		cmd := exec.Command(program[0], program[1:]...)
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program[0], err, out)
		}
	})
}

// table feeds a table inet t to nft, which wants lines where people write none.
func table(t testing.TB, n *hosttest.NS, chains string) {
	t.Helper()
	feed(t, n, "table inet t {}\ndelete table inet t\ntable inet t {\n"+strings.ReplaceAll(chains, "; }", "\n}\n")+"\n}\n", "nft", "-f", "-")
}

// bystander is a namespace with the interfaces that others make.
func bystander(t testing.TB) *hosttest.NS {
	t.Helper()
	n, other := hosttest.NewNS(t), hosttest.NewNS(t)
	for _, name := range []string{"eth0", "eth1", "mape0", "docker0", "virbr0"} {
		hosttest.Veth(t, n, name, "", other, name, "")
	}
	return n
}

// Advice that several programs' rules lead to.
const (
	dockerUser = "table ip filter, chain FORWARD: the policy drops new connections from eth0 to mape0 and the answers from mape0 to eth0; to let that through: " +
		"iptables -I DOCKER-USER -i eth0 -o mape0 -j ACCEPT; iptables -I DOCKER-USER -i mape0 -o eth0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT (until the next boot)"
	ufwRoute = "table ip filter, chain FORWARD: the policy drops new connections from eth0 to mape0; to let that through: ufw route allow in on eth0 out on mape0"
	plain    = "table inet filter, chain forward: the policy drops new connections from eth0 to mape0 and the answers from mape0 to eth0; to let that through: " +
		"nft insert rule inet filter forward iifname eth0 oifname mape0 accept; nft insert rule inet filter forward iifname mape0 oifname eth0 ct state established,related accept (until the next boot)"
	firewallCmd = "table inet firewalld, chain filter_FORWARD, by chain filter_FWD_internal: rule handle N (reject) drops new connections from eth0 to mape0; to let that through: " +
		"firewall-cmd --permanent --zone=trusted --change-interface=eth0 && firewall-cmd --reload, or a firewalld policy that accepts what its zone sends"
	killSwitch = `rule handle N (oifname != "wg0" meta mark != 0xca6c fib daddr type != local reject)`
	dockerJSON = "table ip docker-bridges, chain filter-FORWARD: the policy drops new connections from eth0 to mape0 and the answers from mape0 to eth0; to let that through: " +
		`set "ip-forward-no-drop": true in /etc/docker/daemon.json and restart Docker`
)

// programs are what each program installs, in testdata/foreign, and what is said about it.
var programs = []struct {
	files string
	want  []string
}{
	{"docker.rules", []string{dockerUser}},
	{"docker-forwarding.rules", nil},
	{"docker20.rules", []string{dockerUser}},
	{"docker-nftables.nft", []string{dockerJSON}},
	{"docker-nftables-forwarding.nft", nil},
	{"libvirt.rules", nil},
	{"libvirt-nftables.nft", nil},
	{"ufw.rules ufw.rules6", []string{ufwRoute}},
	{"ufw-route.rules ufw.rules6", nil},
	{"firewalld.nft", []string{firewallCmd}},
	{"firewalld-policy.nft", nil},
	{"firewalld-trusted.nft", nil},
	{"wg-quick.nft", []string{
		"table ip filter, chain FORWARD: " + killSwitch + " may drop new connections from eth0 to mape0 and the answers from mape0 to eth0; to let that through: " +
			"iptables -I FORWARD -i eth0 -o mape0 -j ACCEPT; iptables -I FORWARD -i mape0 -o eth0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT (until the next boot)",
		"table ip filter, chain OUTPUT: " + killSwitch + " may drop this machine's own connections through mape0; to let that through: iptables -I OUTPUT -o mape0 -j ACCEPT (until the next boot)",
		"table ip6 filter, chain OUTPUT: " + killSwitch + " may drop the tunnel's packets to the border relay 2001:db8:ffff::1; to let that through: " +
			"ip6tables -I OUTPUT -o eth1 -s 2001:db8::1 -p 4 -j ACCEPT (until the next boot)",
	}},
	{"nftables-workstation.nft", nil},
	{"nftables-server.nft", []string{plain}},
	{"nftables-router.nft", nil},
	{"docker-forwarding.rules libvirt.rules nftables-router.nft", nil},
}

// TestForeign: the programs' rules, alone.
func TestForeign(t *testing.T) {
	t.Parallel()
	n := bystander(t)
	for _, test := range programs {
		t.Run(test.files, func(t *testing.T) {
			n.Exec(t, "nft", "flush", "ruleset")
			for _, f := range strings.Fields(test.files) {
				install(t, n, f)
			}
			wantForeign(t, n, test.want)
		})
	}
}

var anyNumber = regexp.MustCompile(`(handle|iif) \d+`)

// wantForeign compares the warnings, and makes sure that looking changes nothing.
func wantForeign(t *testing.T, n *hosttest.NS, want []string) {
	t.Helper()
	before := n.Exec(t, "nft", "-s", "-a", "list", "ruleset")
	got := foreignWarnings(t, n)
	for i := range got {
		got[i] = anyNumber.ReplaceAllString(got[i], "$1 N")
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if after := n.Exec(t, "nft", "-s", "-a", "list", "ruleset"); after != before {
		t.Errorf("the ruleset was changed:\n%s\nbefore:\n%s", after, before)
	}
}

// TestFlowtable has its rules built by hand, as not every kernel has flowtables: only one with an interface that packets of the
// tunnel's connections come in through matters.
func TestFlowtable(t *testing.T) {
	t.Parallel()
	rule := ruleset.Rule{Handle: 7, Steps: []ruleset.Step{{Do: ruleset.DoFlow, To: "f"}}}
	chain := ruleset.Chain{Family: "inet", Table: "t", Name: "c", Type: "filter", Hook: "forward", Rules: []ruleset.Rule{rule}}
	p := firewall.Paths{Tunnel: kernel.Link{Name: "mape0"}, WAN: kernel.Link{Name: "eth1"}, LAN: []kernel.Link{{Name: "eth0"}}}
	want := `table inet t, chain c: rule handle 7 (flow add @f) offloads connections through mape0 to flowtable f, and their packets then pass by the NAT and its guard; begin the rule with iifname != "mape0" oifname != "mape0"`
	for devices, warns := range map[string]bool{"eth0 eth1": true, "mape0": true, "eth*": true, "eth1": false, "wg*": false} {
		f := firewall.Foreign{Ruleset: ruleset.Ruleset{
			Chains: []ruleset.Chain{chain}, Flowtables: []ruleset.Flowtable{{Family: "inet", Table: "t", Name: "f", Devices: strings.Fields(devices)}},
		}}
		if got := warnings(p, f); warns != (len(got) == 1 && got[0] == want) || !warns && len(got) > 0 {
			t.Errorf("%s: %q", devices, got)
		}
	}
}

// TestLegacy: rules of iptables-legacy are not in nf_tables.
func TestLegacy(t *testing.T) {
	t.Parallel()
	n := bystander(t)
	h, _ := hosttest.HostOf(t, "-- proc/thread-self/net/ip_tables_names --\nnat\nfilter\n-- proc/thread-self/net/ip6_tables_names --\nfilter\n")
	h.NFT = nft.OpenNS(n.FD())
	foreign, err := firewall.Read(h)
	if err != nil {
		t.Fatal(err)
	}
	f := gatewaytest.Lines(gatewaytest.Inet("2400:4050:5c71:af00:be24:11ff:fe00:2/64"))
	f.Foreign = foreign
	want := "iptables-legacy has been loaded (table ip filter, ip nat, ip6 filter), and what is in it cannot be looked at from here: if iptables-legacy-save and ip6tables-legacy-save show no rules, ignore this; else see that none drops or translates what goes through mape0"
	if g := gatewaytest.MustResolve(t, "{}", f); len(g.AllWarnings()) != 1 || g.AllWarnings()[0] != want {
		t.Errorf("got  %q\nwant %q", g.AllWarnings(), want)
	}
}

// TestForeignUnread: that rules cannot be read is said, and stops nothing.
func TestForeignUnread(t *testing.T) {
	t.Parallel()
	h, _ := hosttest.HostOf(t, "-- etc/hostname --\ngw\n")
	h.NFT = nft.OpenNS(1 << 20)
	f, err := firewall.Read(h)
	if err != nil {
		t.Fatal(err)
	}
	got := warnings(firewall.Paths{Tunnel: kernel.Link{Name: "mape0"}}, f)
	if len(got) != 1 || !strings.HasPrefix(got[0], "what other programs do to packets is not known: reading nftables: ") {
		t.Errorf("%q", got)
	}
}
