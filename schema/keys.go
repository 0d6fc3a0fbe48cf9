package schema

import "gopkg.in/yaml.v3"

//go:generate go run ./internal/gen

// A Table has the keys of one mapping.
type Table struct {
	Name              string // of its definition in mape.schema.json
	English, Japanese string // what its keys are called
	Keys              []Key
}

// Tables are all keys of the format, for its documentation.
func Tables() []Table {
	return []Table{
		{"section", "key", "キー", new(Config).keys()},
		{"rule", "key of a rule", "ルールのキー", new(Rule).keys()},
		{"softwire", "key of `softwire`", "`softwire` のキー", new(Softwire).keys()},
		{"ds-lite", "key of `ds-lite`", "`ds-lite` のキー", new(DSLite).keys()},
		{"ipip", "key of `ipip`", "`ipip` のキー", new(IPIP).keys()},
		{"registration", "key of `registration`", "`registration` のキー", new(Registration).keys()},
		{"lw4o6", "key of `lw4o6`", "`lw4o6` のキー", new(LW4o6).keys()},
		{"forward", "key of a forward", "転送のキー", new(forward).keys()},
		{"conntrack", "key of `conntrack`", "`conntrack` のキー", new(Conntrack).keys()},
		{"discover", "key of `discover`", "`discover` のキー", new(Discover).keys()},
	}
}

func (c *Config) keys() []Key {
	return []Key{
		{Name: "provider", value: word(&c.Provider, "auto", "ocn", "v6plus", "biglobe", "nuro", "transix", "xpass", "v6connect", "discover", "dhcpv6"), Default: "auto", Example: "ocn",
			English:  "whose line it is, by what is built in. `auto`: told by the line's prefix, or, if that is not known, what the line itself announces. `discover`: always what the line announces (HB46PP). `dhcpv6`: what its DHCPv6 server says (RFC 7598, RFC 6334). `transix`, `xpass` and `v6connect` are DS-Lite",
			Japanese: "どの事業者の回線か。内蔵の表を使う。`auto` は回線のプレフィックスから分かるもの、なければ回線自身が知らせるもの。`discover` は常に回線が知らせるもの(HB46PP)。`dhcpv6` は DHCPv6 サーバーが知らせるもの(RFC 7598、RFC 6334)。`transix`、`xpass`、`v6connect` は DS-Lite"},
		{Name: "discover", value: mapping{"discover", func() []Key { c.Discover = new(Discover); return c.Discover.keys() }}, Example: "{user: taro, password: abc-123, server: vne.example.jp}",
			English:  "user and password for the line's provisioning server (HB46PP), for contracts that have them",
			Japanese: "回線のプロビジョニングサーバー(HB46PP)のユーザー名とパスワード。契約にある場合だけ"},
		{Name: "rules", value: mappings{"rule", 1, c.readRule}, Example: `[{ipv6: "2001:db8::/40", ipv4: 192.0.2.0/24, ea-bits: 16}]`,
			English:  "MAP rules of your own (RFC 7597), instead of a provider's. Of those that cover the line's prefix, the longest is used",
			Japanese: "内蔵ルールの代わりに使う自前の MAP ルール(RFC 7597)。回線のプレフィックスに合うもののうち、最も長いものが使われる"},
		{Name: "br", value: address(&c.BR), Example: "2001:db8:ffff::1",
			English:  "border relay of those `rules` that have none of their own",
			Japanese: "`rules` のうち、自分の `br` がないものの境界リレー"},
		{Name: "dmr", value: prefix(&c.DMR, "IPv6", 128), Example: "2001:db8:ffff::/64",
			English:  "MAP-T instead of MAP-E: the prefix that stands for the IPv4 internet (default mapping rule, RFC 7599), in the place of the `br` of the `rules`",
			Japanese: "MAP-E でなく MAP-T にする。IPv4 インターネットを表すプレフィックス(デフォルトマッピングルール、RFC 7599)。`rules` の `br` の代わりに書く"},
		{Name: "softwire", value: mapping{"softwire", func() []Key { c.Softwire = new(Softwire); return c.Softwire.keys() }}, Example: `{ce: "2001:db8::1", br: "2001:db8:ffff::1", ipv4: 192.0.2.18}`,
			English:  "the values of a calculator or of the provider, used as they are",
			Japanese: "計算ページや事業者が示した値。そのまま使われる"},
		{Name: "ds-lite", value: mapping{"ds-lite", func() []Key { c.DSLite = new(DSLite); return c.DSLite.keys() }}, Example: "{aftr: gw.transix.jp}",
			English:  "DS-Lite (RFC 6333): the provider translates, and ports cannot be forwarded",
			Japanese: "DS-Lite(RFC 6333)。事業者が変換するので、ポートの転送はできない"},
		{Name: "ipip", value: mapping{"ipip", func() []Key { c.IPIP = new(IPIP); return c.IPIP.keys() }}, Example: `{ipv4: 203.0.113.8/29, br: "2001:db8:ffff::1"}`,
			English:  "a fixed IPv4 address, or a block of them, over IPv6",
			Japanese: "IPv6 の上の固定 IPv4 アドレス、またはそのブロック"},
		{Name: "lw4o6", value: mapping{"lw4o6", func() []Key { c.LW4o6 = new(LW4o6); return c.LW4o6.keys() }}, Example: `{lwaftr: "2001:db8:ffff::2", ipv4: 192.0.2.18, psid: 52, psid-len: 8}`,
			English:  "Lightweight 4over6 (RFC 7596)",
			Japanese: "Lightweight 4over6(RFC 7596)"},
		{Name: "wan", value: name(&c.WAN), Example: "eth1",
			English:  "interface of the line. If not set, the one with the IPv6 default route of the lowest metric; two of the same metric are an error",
			Japanese: "回線側のインターフェース。書かなければ、IPv6 デフォルトルートのメトリックが最小のもの。同じメトリックのものが二つあればエラー"},
		{Name: "lan", value: names(&c.LAN), Example: "eth0",
			English:  "LAN interfaces; router advertisements are ignored on them. `[]` means none. This is not an access list: everything routed into the tunnel is translated. If not set, every other interface that netplan or networkd configures and that has a private IPv4 address",
			Japanese: "LAN 側のインターフェース。そこではルーター広告を無視する。`[]` はなし。アクセスの制限ではなく、トンネルに向かうパケットはすべて変換される。書かなければ、netplan か networkd が設定していて、プライベート IPv4 アドレスを持つほかのすべて"},
		{Name: "prefix", value: linePrefix(&c.Prefix), Default: "auto", Example: "2001:db8:12c0:f200::/56",
			English:  "IPv6 prefix of the line, or any address in it. `auto`: what the WAN has",
			Japanese: "回線の IPv6 プレフィックス、またはその中のどれかのアドレス。`auto` は WAN にあるもの"},
		{Name: "wan-prefix", value: word(&c.WANPrefix, "auto", "ra", "pd"), Default: "auto", Example: "pd",
			English:  "where the prefix comes from if `prefix` is not set. `ra`: addresses of the WAN, those from router advertisements first. `pd`: networkd requests a delegated prefix (DHCPv6-PD), and the gateway waits for it; it is requested even if `prefix` is set. `auto`: a delegation that exists already, otherwise as `ra`",
			Japanese: "`prefix` がないとき、プレフィックスをどこから得るか。`ra` は WAN のアドレス(ルーター広告によるものが先)。`pd` は networkd にプレフィックスの委任(DHCPv6-PD)を求めさせ、それを待つ。`prefix` があっても求める。`auto` はすでにある委任、なければ `ra` と同じ"},
		{Name: "tunnel", value: name(&c.Tunnel), Default: "mape0", Example: "mape0",
			English:  "name of the tunnel interface",
			Japanese: "トンネルのインターフェース名"},
		// Every IPv6 link carries 1280 bytes and the tunnel's header takes 40 of
		// them. The upper bound is jumbo Ethernet's: it catches a digit too many.
		{Name: "mtu", value: number{func(n int) { c.MTU = n }, 1240, 9000}, Example: "1460",
			English:  "MTU of the tunnel. If not set, that of the WAN minus 40, or minus 28 for MAP-T",
			Japanese: "トンネルの MTU。書かなければ、WAN の MTU から 40(MAP-T では 28)を引いた値"},
		{Name: "interface-id", value: word(&c.InterfaceID, "map-03", "rfc7597"), Example: "map-03",
			English:  "how the lower half of the CE address is formed: `map-03` as in the draft that the Japanese providers use, `rfc7597` as in the RFC. If not set, as the provider does, and `rfc7597` for `rules`",
			Japanese: "CE アドレスの下位 64 ビットの作り方。`map-03` は日本の事業者が使うドラフトの方式、`rfc7597` は RFC の方式。書かなければ事業者のもの、`rules` では `rfc7597`"},
		{Name: "backend", value: word(&c.Backend, "auto", "netplan", "networkd"), Default: "auto", Example: "netplan",
			English:  "which configuration system makes the tunnel and the addresses persistent. `auto`: netplan if it is installed, otherwise systemd-networkd",
			Japanese: "トンネルとアドレスをどの設定システムに残すか。`auto` は、あれば netplan、なければ systemd-networkd"},
		{Name: "forwards", value: mappings{"forward", 0, c.readForward}, Example: `[{port: 5184, to: "192.168.1.10:22"}]`,
			English:  "ports of the shared address that lead to a service on the LAN or on the gateway; up to 4096 ports that get another number and ranges that keep theirs",
			Japanese: "LAN やゲートウェイのサービスにつなぐ、共有アドレスのポート。番号を変えるポートと番号を保つ範囲を合わせて 4096 まで"},
		{Name: "inbound", value: word(&c.Inbound, "drop", "accept"), Default: "drop", Example: "drop",
			English:  "new connections from the internet that match no forward. `accept`: those to ports of the set reach destination NAT rules in your own tables (priority −100 or later), under their real port number; if no rule takes them, they are dropped, too",
			Japanese: "インターネットからの新しい接続のうち、どの転送にも当たらないもの。`accept` では、ポートセットのポート宛てのものが、実際のポート番号のまま、自分のテーブルの宛先 NAT のルール(優先度 −100 以降)に届く。受け取るルールがなければ、やはり捨てる"},
		{Name: "conntrack", value: mapping{"conntrack", c.Conntrack.keys}, Default: "{}", Example: "{udp: 5m, dns: 10s}",
			English:  "how long idle connections keep their port",
			Japanese: "通信のない接続がポートを保つ時間"},
		{Name: "probe", value: probe(&c.Probe), Example: "1.1.1.1",
			English:  "where `doctor --probe` sends its packets: servers on the internet that answer ping, TCP, and DNS over UDP at that port, which is 53 unless given. Nothing is sent without `--probe`. If not set, `1.1.1.1` and `8.8.8.8`",
			Japanese: "`doctor --probe` がパケットを送る先。ping と、そのポート(書かなければ 53)の TCP、UDP の DNS に答えるサーバー。`--probe` を付けない限り何も送らない。書かなければ `1.1.1.1` と `8.8.8.8`"},
	}
}

func (c *Config) readRule(p *parser, path string, n *yaml.Node, want string) {
	var r Rule
	p.mapping(path, n, r.keys(), want)
	c.Rules = append(c.Rules, r)
}

// The bounds are those of RFC 7598, sections 4.1 and 4.5. The offset of a rule
// is 6 unless it says otherwise, as in RFC 7597, section 5.1.
func (r *Rule) keys() []Key {
	return []Key{
		{Name: "ipv6", Required: true, value: prefix(&r.IPv6, "IPv6", 128), Example: "2001:db8::/40",
			English:  "IPv6 prefix of all lines that the rule is for",
			Japanese: "このルールが当てはまるすべての回線の IPv6 プレフィックス"},
		{Name: "ipv4", Required: true, value: prefix(&r.IPv4, "IPv4", 32), Example: "192.0.2.0/24",
			English:  "IPv4 prefix that they share. `0.0.0.0/0`: the EA bits have the whole address, 32 and the length of the PSID",
			Japanese: "それらが共有する IPv4 プレフィックス。`0.0.0.0/0` は、EA ビットにアドレス全体がある場合(32 と PSID の長さ)"},
		{Name: "ea-bits", Required: true, value: number{func(n int) { r.EABits = n }, 0, 48}, Example: "16",
			English:  "number of bits of a line's prefix, after the rule's, that select its address and port set",
			Japanese: "ルールのプレフィックスに続く、アドレスとポートセットを決めるビットの数"},
		{Name: "psid-offset", Default: "6", value: number{func(n int) { r.PSIDOffset = n }, 0, 15}, Example: "6",
			English:  "number of bits before the PSID in a port: 6 for OCN, 4 for the others",
			Japanese: "ポート番号のうち PSID より前のビットの数。OCN は 6、ほかは 4"},
		{Name: "psid", value: number{func(n int) { r.PSID = &n }, 0, 0xffff}, Example: "0x34",
			English:  "port set ID that is not in the EA bits (RFC 7597, example 5). Needs `psid-len`",
			Japanese: "EA ビットにない PSID(RFC 7597 の例 5)。`psid-len` も要る"},
		{Name: "psid-len", value: number{func(n int) { r.PSIDLen = n }, 0, 16}, Example: "6",
			English:  "number of bits of that PSID",
			Japanese: "その PSID のビットの数"},
		{Name: "br", value: address(&r.BR), Example: "2001:db8:ffff::1",
			English:  "border relay of this rule. If not set, the section's",
			Japanese: "このルールの境界リレー。書かなければセクションのもの"},
	}
}

func (s *Softwire) keys() []Key {
	return []Key{
		{Name: "ce", Required: true, value: address(&s.CE), Example: "2001:db8:12c0:f200:ee:86ff:fe0:3200",
			English:  "IPv6 address of this end of the tunnel, the customer edge",
			Japanese: "トンネルのこちら側(CE)の IPv6 アドレス"},
		{Name: "br", Required: true, value: address(&s.BR), Example: "2001:db8:ffff::1",
			English:  "IPv6 address of the other end, the border relay",
			Japanese: "トンネルの向こう側(境界リレー)の IPv6 アドレス"},
		{Name: "ipv4", Required: true, value: sharedAddress(&s.IPv4), Example: "192.0.2.18",
			English:  "the IPv4 address, or a prefix that is not shared",
			Japanese: "IPv4 アドレス、または共有されていないプレフィックス"},
		{Name: "psid", value: number{func(n int) { s.PSID = n }, 0, 0xffff}, Example: "0x34",
			English:  "port set ID, right-aligned. If not set, the address is not shared",
			Japanese: "PSID(右詰め)。書かなければ、アドレスは共有されていない"},
		{Name: "psid-len", value: number{func(n int) { s.PSIDLen = n }, 0, 16}, Example: "6",
			English:  "number of bits of the PSID",
			Japanese: "PSID のビットの数"},
		{Name: "psid-offset", value: number{func(n int) { s.PSIDOffset = n }, 0, 15}, Example: "6",
			English:  "number of bits before the PSID in a port: 6 for OCN, 4 for v6plus. Required with a PSID",
			Japanese: "ポート番号のうち PSID より前のビットの数。OCN は 6、v6プラスは 4。PSID があれば必須"},
	}
}

func (d *DSLite) keys() []Key {
	return []Key{
		{Name: "aftr", Required: true, value: farEnd(&d.AFTR), Example: "gw.transix.jp",
			English:  "the provider's end of the tunnel. A name is asked of the line's own resolvers",
			Japanese: "トンネルの事業者側。名前は回線のリゾルバーに問い合わせる"},
	}
}

func (i *IPIP) keys() []Key {
	return []Key{
		{Name: "ipv4", Required: true, value: sharedAddress(&i.IPv4), Example: "203.0.113.8/29",
			English:  "the IPv4 address, or the block",
			Japanese: "IPv4 アドレス、またはブロック"},
		{Name: "br", Required: true, value: farEnd(&i.BR), Example: "2001:db8:ffff::1",
			English:  "the provider's end of the tunnel",
			Japanese: "トンネルの事業者側"},
		{Name: "ce", value: address(&i.CE), Example: "2001:db8:12:3400::feed",
			English:  "the whole IPv6 address of this end. If neither it nor `interface-id` is set, it is made from the IPv4 address, as by OCN",
			Japanese: "トンネルのこちら側の IPv6 アドレス全体。これも `interface-id` も書かなければ、OCN のように IPv4 アドレスから作る"},
		{Name: "interface-id", value: interfaceID(&i.InterfaceID), Example: `"::feed"`,
			English:  "its lower half, from the contract. The upper half is the line's prefix",
			Japanese: "その下位 64 ビット。契約の書類にある。上位は回線のプレフィックス"},
		{Name: "block", Default: "nat", value: word(&i.Block, "nat", "route"), Example: "route",
			English:  "of a block, `nat`: everything is translated to its first address. `route`: it belongs to a LAN, and is not translated",
			Japanese: "ブロックのとき、`nat` はすべてを先頭のアドレスに変換する。`route` は LAN のものとし、変換しない"},
		{Name: "registration", value: mapping{"registration", func() []Key { i.Registration = new(Registration); return i.Registration.keys() }}, Example: "{provider: v6plus, user: taro, password: abc-123}",
			English:  "how the provider is told the address of this end, where it wants to be",
			Japanese: "こちら側のアドレスを事業者に知らせる方法。求められる場合だけ"},
	}
}

func (r *Registration) keys() []Key {
	return []Key{
		{Name: "provider", value: word(&r.Provider, "v6plus", "transix", "ocn", "xpass", "v6connect"), Example: "v6plus",
			English:  "whose form of request it is. If not set, user and password go into the `url` by `{user}` and `{password}`",
			Japanese: "どの事業者の形式か。書かなければ、`url` の `{user}` と `{password}` がユーザー名とパスワードになる"},
		{Name: "url", value: form(&r.URL, "an http or https URL", "URL", "URL", `^https?://[^\s]+$`), Example: "http://update.example.jp/request",
			English:  "the URL of the contract, with all that it has in its query: `ocn`, `xpass` and `v6connect` have no other. `{ce}` in it is the address of this end. Only `v6plus`, `transix` and `ocn` have nothing else than http; any other must be https",
			Japanese: "契約の書類にある URL。クエリーもそのまま書く。`ocn`、`xpass`、`v6connect` では必要。その中の `{ce}` はこちら側のアドレスになる。http しかないのは `v6plus`、`transix`、`ocn` だけで、ほかは https"},
		{Name: "user", value: form(&r.User, "a text of one line without blanks at its ends, in quotes", "text", "文字列", `^[!-~]([ -~]{0,254}[!-~])?$`), Example: `"taro"`,
			English:  "user of the contract",
			Japanese: "契約のユーザー名"},
		{Name: "password", value: form(&r.Password, "a text of one line without blanks at its ends, in quotes", "text", "文字列", `^[!-~]([ -~]{0,254}[!-~])?$`), Example: `"abc-123"`,
			English:  "its password. `chmod 600` the file",
			Japanese: "そのパスワード。ファイルは `chmod 600` にする"},
	}
}

func (l *LW4o6) keys() []Key {
	return []Key{
		{Name: "lwaftr", Required: true, value: farEnd(&l.LwAFTR), Example: "2001:db8:ffff::2",
			English:  "the provider's end of the tunnel",
			Japanese: "トンネルの事業者側"},
		{Name: "ipv4", Required: true, value: sharedAddress(&l.IPv4), Example: "192.0.2.18",
			English:  "the IPv4 address",
			Japanese: "IPv4 アドレス"},
		{Name: "psid", value: number{func(n int) { l.PSID = n }, 0, 0xffff}, Example: "52",
			English:  "port set ID, right-aligned. If not set, the address is not shared",
			Japanese: "PSID(右詰め)。書かなければ、アドレスは共有されていない"},
		{Name: "psid-len", value: number{func(n int) { l.PSIDLen = n }, 0, 16}, Example: "8",
			English:  "number of bits of the PSID",
			Japanese: "PSID のビットの数"},
		{Name: "psid-offset", Default: "0", value: number{func(n int) { l.PSIDOffset = n }, 0, 15}, Example: "0",
			English:  "number of bits before the PSID in a port",
			Japanese: "ポート番号のうち PSID より前のビットの数"},
		{Name: "prefix", value: prefix(&l.Prefix, "IPv6", 128), Example: "2001:db8:12:3400::/56",
			English:  "IPv6 prefix of the binding; the address of this end is in its first subnet, or in that of the line's prefix in it. If not set, the line's prefix",
			Japanese: "バインディングの IPv6 プレフィックス。こちら側のアドレスはその先頭の、またはその中の回線のプレフィックスの先頭のサブネットにある。書かなければ回線のプレフィックス"},
	}
}

// The forms are those of v6mig-prov 1.1, section 3.3. The server is a host,
// without a scheme, a port or a path.
func (d *Discover) keys() []Key {
	credential := func(dst *string) value {
		return form(dst, "up to 32 letters, digits, - and _, in quotes", "text", "文字列", `^[A-Za-z0-9_-]{1,32}$`)
	}
	server := form(&d.Server, "the name of a server, without a scheme, a port or a path", "name", "名前",
		"^"+serverName+"$")
	return []Key{
		{Name: "user", Required: true, value: credential(&d.User), Example: `"taro"`,
			English:  "user of your contract: up to 32 letters, digits, `-` and `_`; in quotes if only digits",
			Japanese: "契約のユーザー名。英数字、`-`、`_` で 32 文字まで。数字だけなら引用符で囲む"},
		{Name: "password", Required: true, value: credential(&d.Password), Example: `"abc-123"`,
			English:  "its password, of the same form. `chmod 600` the file: a warning tells when others may read it",
			Japanese: "そのパスワード。形は同じ。ファイルは `chmod 600` にする(ほかのユーザーが読めるときは警告する)"},
		{Name: "server", Required: true, value: server, Example: "vne.example.jp",
			English:  "name of the provisioning server. User and password are sent only to it, over https with a valid certificate (`t=b`)",
			Japanese: "プロビジョニングサーバーの名前。ユーザー名とパスワードは、https で証明書を検証できた(`t=b`)このサーバーにだけ送る"},
	}
}

func (f *forward) keys() []Key {
	return []Key{
		{Name: "port", Required: true, value: ports(&f.Ports), Example: "5184-5187",
			English:  "a port of the set, a range, or a list of both. For a port outside the set, the error names the nearest free ones",
			Japanese: "ポートセットのポート、その範囲、または両方を並べたリスト。ポートセットにないものを書くと、転送に使われていない最も近いポートがエラーに示される"},
		{Name: "to", Required: true, value: target(&f.to), Example: "192.168.1.10:22",
			English:  "IPv4 address of the host, with a port, or a range as long as `port`, if the numbers differ. An address of the gateway reaches its own services; the shared address and a LAN's network or broadcast address are refused",
			Japanese: "ホストの IPv4 アドレス。番号が変わるなら、ポート、または `port` と同じ長さの範囲を付ける。ゲートウェイのアドレスを書くと、そのサービスにつながる。共有アドレスと、LAN のネットワークアドレスやブロードキャストアドレスはエラーになる"},
		{Name: "protocol", Default: "both", value: word(&f.Protocol, "tcp", "udp", "both"), Example: "tcp",
			English:  "protocol of the ports",
			Japanese: "ポートのプロトコル"},
	}
}

// The minimums are the RFCs' where they set one. Those of dns and
// tcp-time-wait leave an answer and a late segment the time to arrive; that of
// max is about what one port set can hold. Closed connections are forgotten
// sooner than the kernel does, whose 2 min cost a small port set dearly; a host
// that keeps its side in TIME-WAIT does so for 60 s on Linux.
func (t *Conntrack) keys() []Key {
	const rfc5382, rfc4787 = "RFC 5382, REQ-5", "RFC 4787, REQ-5"
	const longest = "30d" // the kernel itself keeps established connections for 5 days
	return []Key{
		{Name: "tcp-established", Default: "2h4m", value: duration(&t.TCPEstablished, "2h4m", longest, rfc5382), Example: "2h4m",
			English:  "open TCP connections (RFC 5382). The kernel's own default is 5 days",
			Japanese: "開いている TCP 接続(RFC 5382)。カーネル本来の値は 5 日"},
		{Name: "tcp-transitory", Default: "4m", value: duration(&t.TCPTransitory, "4m", longest, rfc5382), Example: "4m",
			English:  "half-open and half-closed TCP connections (RFC 5382)",
			Japanese: "ハーフオープン、またはハーフクローズの TCP 接続(RFC 5382)"},
		{Name: "tcp-time-wait", Default: "1m", value: duration(&t.TCPTimeWait, "10s", "1h", ""), Example: "1m",
			English:  "TCP connections that both sides have closed; no RFC sets a minimum",
			Japanese: "両側が閉じた TCP 接続。RFC に下限の定めはない"},
		{Name: "udp", Default: "5m", value: duration(&t.UDP, "2m", longest, rfc4787), Example: "5m",
			English:  "UDP (RFC 4787); 2 minutes until packets have gone both ways for a while",
			Japanese: "UDP(RFC 4787)。しばらくの間パケットが双方向に通うまでは 2 分"},
		{Name: "dns", Default: "10s", value: duration(&t.DNS, "5s", longest, ""), Example: "10s",
			English:  "UDP to port 53, which would otherwise exhaust a small port set (RFC 4787, REQ-5a)",
			Japanese: "53 番ポート宛ての UDP。ほかと同じ時間では小さなポートセットを使い切ってしまう(RFC 4787, REQ-5a)"},
		{Name: "max", value: number{func(n int) { t.Max = n }, 1024, 4194304}, Example: "65536",
			English:  "`net.netfilter.nf_conntrack_max` of the whole machine. If you remove the key, the value stays until the next boot",
			Japanese: "`net.netfilter.nf_conntrack_max`。マシン全体の値。キーを消しても、次の起動まで残る"},
	}
}
