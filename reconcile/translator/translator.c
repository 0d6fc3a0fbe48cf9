//go:build ignore

// MAP-T (RFC 7599) for traffic control: out46 at the end of the tunnel device's egress, in64 at the WAN's ingress. They do
// what out.go and in.go do, in the same order, and are tested against them.
//
// A packet is judged before it is changed. What is in front of the payload then grows or shrinks by one call, and is written
// again as a whole. Checksums are updated by what has changed (RFC 1624), so that a packet that came with a wrong one, or
// whose checksum the hardware is to fill in, leaves like that.
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char __license[] SEC("license") = "Apache-2.0"; // None of the helpers is for GPL programs alone.

#define inline static __always_inline

struct address { __be64 high, low; };

struct settings {
	struct address ce, dmr;
	__be32 ipv4;
	__u32 wan, tunnel; // interfaces
	__u32 mtu;         // of the WAN
	__u16 lowest, mask, value; // what a port of the set is compared with
	__u8 dmr_bits;
	__u8 wan_header, tunnel_header; // bytes of link header
	__u8 unused[7];
};

volatile const struct settings constants;

// The verdicts of translator.go. In counts follow those of Out.
enum { TRANSLATED, PASSED, MALFORMED, SOURCE, DESTINATION, SOURCE_ROUTE, PROTOCOL, FRAGMENTED, TYPE, QUOTED, CHECKSUM, PORT,
	HEADER, FAILED, VERDICTS };
enum { OUT = 0, IN = VERDICTS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2 * VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

inline int count(__u32 key, int action)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &key);

	if (n)
		(*n)++;
	return action;
}

#define DROP(verdict) return count(DIRECTION + verdict, TC_ACT_SHOT)
#define PASS() return count(DIRECTION + PASSED, TC_ACT_UNSPEC)

struct ip4 { __u8 version_head, tos; __be16 length, id, flags; __u8 ttl, protocol; __u16 sum; __be32 src, dst; };
struct ip6 { __be32 first; __be16 length; __u8 next, hops; struct address src, dst; };
struct fragment { __u8 next, reserved; __be16 at; __be32 id; };
struct icmp { __u8 type, code; __u16 sum; __be32 rest; };
struct pseudo { struct address src, dst; __be32 length, next; };

enum { ICMP4 = 1, TCP = 6, UDP = 17, ICMP6 = 58, HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATIONS = 60 };

#define LOAD(at, to) (bpf_skb_load_bytes(skb, at, &(to), sizeof(to)) < 0)
#define STORE(at, from) (bpf_skb_store_bytes(skb, at, &(from), sizeof(from), BPF_F_RECOMPUTE_CSUM) < 0)
// Without the flag a length that was checked by hardware would be checked again by software.
#define ROOM(n) ((n) && bpf_skb_adjust_room(skb, n, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) < 0)

// Sums of words, in the order of the packet; minus takes them away.
#define PLUS(sum, p, n) bpf_csum_diff(0, 0, (__be32 *)(p), n, sum)
#define MINUS(sum, p, n) bpf_csum_diff((__be32 *)(p), n, 0, 0, sum)

inline __u16 fold(__u64 s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (s & 0xffff) + (s >> 16);
}

// after is a checksum after a change of the bytes under it.
inline __u16 after(__u16 sum, __s64 change) { return ~fold((__u64)(__u32)change + (__u16)~sum); }

// some loads 1 to CHUNK bytes. Its bounds are such as Linux 6.1 sees.
enum { CHUNK = 64 };

inline bool some(struct __sk_buff *skb, __u32 at, __u8 *to, __u32 n)
{
	n = (n - 1) & (CHUNK - 1);
	asm volatile("" : "+r"(n)); // or the compiler would know n, and leave the bound out
	return bpf_skb_load_bytes(skb, at, to, n + 1) < 0;
}

inline bool same(const struct address *a, volatile const struct address *b) { return a->high == b->high && a->low == b->low; }

inline bool unroutable(__be32 a)
{
	__u8 first = bpf_ntohl(a) >> 24;

	return first == 0 || first == 127 || first >= 224;
}

// RFC 6052 section 2.2: up to /64 the address goes on behind byte 8, which is zero.
inline void embed(struct address *a, __be32 v4)
{
	__u64 v = bpf_ntohl(v4), high = bpf_be64_to_cpu(constants.dmr.high), low = bpf_be64_to_cpu(constants.dmr.low);
	__u8 behind = constants.dmr_bits - 32; // bits of the address that are

	if (constants.dmr_bits == 96) {
		low |= v;
	} else {
		high |= v >> behind;
		low |= (v & ((1ULL << behind) - 1)) << (56 - behind);
	}
	a->high = bpf_cpu_to_be64(high);
	a->low = bpf_cpu_to_be64(low);
}

inline bool extract(const struct address *a, __be32 *v4)
{
	__u64 high = bpf_be64_to_cpu(a->high), low = bpf_be64_to_cpu(a->low), prefix = bpf_be64_to_cpu(constants.dmr.high);
	__u8 behind = constants.dmr_bits - 32;

	if (constants.dmr_bits == 96) {
		*v4 = bpf_htonl(low);
		return high == prefix && low >> 32 == bpf_be64_to_cpu(constants.dmr.low) >> 32;
	}
	*v4 = bpf_htonl(high << behind | (low >> (56 - behind) & ((1ULL << behind) - 1)));
	return (high ^ prefix) >> (32 - behind) == 0 && low >> 56 == 0;
}

inline bool has_port(__be16 port)
{
	__u16 p = bpf_ntohs(port);

	return p >= constants.lowest && (p & constants.mask) == constants.value;
}

// source_routed is true of options that have a source route with addresses left, and of options that cannot be read.
inline bool source_routed(struct __sk_buff *skb, __u32 at, __u64 n)
{
	__u8 o[CHUNK] = {};
	__u64 i = 0; // of 64 bits, as are registers: the verifier loses the bounds of half of one

	if (some(skb, at, o, n))
		return true;
#pragma clang loop unroll(disable)
	for (int k = 0; k < 40; k++) {
		if (i >= n || i >= 40 || o[i] == 0)
			return false;
		if (o[i] == 1) {
			i++;
			continue;
		}
		__u64 kind = o[i], size = o[i + 1];
		if (i + 1 >= n || size < 2 || i + size > n)
			return true;
		if ((kind == 131 || kind == 137) && (size < 3 || o[i + 2] <= size))
			return true;
		i += size;
	}
	return false;
}

// sum_of adds the bytes of a payload to a sum; false for more than a jumbo frame has.
inline bool sum_of(struct __sk_buff *skb, __u32 at, __u32 n, __s64 *sum)
{
	__u8 b[CHUNK];
	__u32 end = at + n;

#pragma clang loop unroll(disable)
	for (int k = 0; k < 9216 / CHUNK; k++) {
		if (at + CHUNK > end)
			break;
		if (LOAD(at, b))
			return false;
		*sum = PLUS(*sum, b, CHUNK);
		at += CHUNK;
	}
	n = end - at;
	if (n >= CHUNK)
		return false;
	__builtin_memset(b, 0, CHUNK);
	if (n && some(skb, at, b, n))
		return false;
	*sum = PLUS(*sum, b, CHUNK);
	return true;
}

// quoted changes the checksum of a header that an error quotes n bytes of, and the type of an echo, and adds what that
// changes to the sum of the error. change is that of the addresses, with ICMP of the whole pseudo header.
inline bool quoted(struct __sk_buff *skb, __u32 at, __u32 n, __u8 protocol, __s64 change, __s64 *sum)
{
	__u32 was = 0, is;

	if (protocol == ICMP4 || protocol == ICMP6) {
		struct { __u8 type, code; __u16 sum; } e;
		if (n < 8 || LOAD(at, e))
			return false;
		was = e.type | e.code << 8;
		switch (e.type) {
		case 8: e.type = 128; break;
		case 0: e.type = 129; break;
		case 128: e.type = 8; break;
		case 129: e.type = 0; break;
		}
		is = e.type | e.code << 8;
		change = bpf_csum_diff(&was, 4, &is, 4, change);
		was |= (__u32)e.sum << 16;
		e.sum = after(e.sum, change);
		is |= (__u32)e.sum << 16;
		if (STORE(at, e))
			return false;
	} else {
		__u32 offset = protocol == TCP ? 16 : 6;
		__u16 c;
		if (protocol != TCP && protocol != UDP || n < offset + 2)
			return true;
		if (LOAD(at + offset, c))
			return false;
		if (protocol == UDP && !c)
			return true;
		was = c;
		c = after(c, change);
		if (protocol == UDP && !c)
			c = 0xffff;
		is = c;
		if (STORE(at + offset, c))
			return false;
	}
	*sum = bpf_csum_diff(&was, 4, &is, 4, *sum);
	return true;
}

// checksum changes that of a TCP or UDP header.
inline bool checksum(struct __sk_buff *skb, __u32 at, __u8 protocol, __s64 change)
{
	if (protocol == TCP)
		return bpf_l4_csum_replace(skb, at + 16, 0, change, BPF_F_PSEUDO_HDR) == 0;
	return bpf_l4_csum_replace(skb, at + 6, 0, change, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0) == 0;
}

// pointer6 is RFC 7915 figure 3.
inline int pointer6(__u8 p)
{
	switch (p) {
	case 0: case 1: return p;
	case 2: case 3: return 4;
	case 8: return 7;
	case 9: return 6;
	case 12: case 13: case 14: case 15: return 8;
	case 16: case 17: case 18: case 19: return 24;
	}
	return -1;
}

// plateau is the size of RFC 1191 section 7.1 that is below that of the packet, and IPv6 can have.
inline __u32 plateau(__u32 total)
{
	return total > 32000 ? 32000 : total > 17914 ? 17914 : total > 8166 ? 8166 : total > 4352 ? 4352 : total > 2002 ? 2002 :
		total > 1492 ? 1492 : 1280;
}

// error6 is RFC 7915 section 4.2. total is the length of the packet that is quoted.
inline bool error6(const struct icmp *e, __u32 total, struct icmp *o)
{
	__u32 rest = bpf_ntohl(e->rest);
	int p;

	switch (e->type) {
	case 3:
		o->type = 1;
		switch (e->code) {
		case 0: case 1: case 5: case 6: case 7: case 8: case 11: case 12:
			return true;
		case 2:
			o->type = 4;
			o->code = 1;
			o->rest = bpf_htonl(6);
			return true;
		case 3:
			o->code = 4;
			return true;
		case 4:
			o->type = 2;
			rest &= 0xffff;
			rest = rest ? rest + 20 : plateau(total);
			if (rest > constants.mtu)
				rest = constants.mtu;
			o->rest = bpf_htonl(rest < 1280 ? 1280 : rest);
			return true;
		case 9: case 10: case 13: case 15:
			o->code = 1;
			return true;
		}
		return false;
	case 11:
		o->type = 3;
		o->code = e->code;
		return true;
	case 12:
		p = pointer6(rest >> 24);
		o->type = 4;
		o->rest = bpf_htonl(p);
		return (e->code == 0 || e->code == 2) && p >= 0;
	}
	return false;
}

// error4 is RFC 7915 section 5.2, with figure 6.
inline bool error4(const struct icmp *e, struct icmp *o)
{
	__u32 rest = bpf_ntohl(e->rest);

	o->type = 3;
	switch (e->type) {
	case 1:
		o->code = e->code == 1 ? 10 : e->code == 4 ? 3 : 1;
		return e->code <= 4;
	case 2:
		if (rest > constants.mtu)
			rest = constants.mtu;
		o->code = 4;
		o->rest = bpf_htonl(rest < 88 ? 68 : rest - 20);
		return true;
	case 3:
		o->type = 11;
		o->code = e->code;
		return true;
	case 4:
		if (e->code == 1) {
			o->code = 2;
			return true;
		}
		o->type = 12;
		if (rest >= 24)
			o->rest = bpf_htonl(16 << 24);
		else if (rest >= 8)
			o->rest = bpf_htonl(12 << 24);
		else if (rest == 7)
			o->rest = bpf_htonl(8 << 24);
		else if (rest == 6)
			o->rest = bpf_htonl(9 << 24);
		else if (rest >= 4)
			o->rest = bpf_htonl(2 << 24);
		else if (rest <= 1)
			o->rest = bpf_htonl(rest << 24);
		else
			return false;
		return e->code == 0 && rest < 40;
	}
	return false;
}

#define DIRECTION OUT

SEC("tc") int out46(struct __sk_buff *skb)
{
	__u32 off = constants.tunnel_header;
	struct ip4 i;
	struct ip6 o = {};

	if (skb->protocol != bpf_htons(ETH_P_IP) || LOAD(off, i) || i.version_head >> 4 != 4)
		DROP(MALFORMED);
	__u32 head = (i.version_head & 15) * 4, total = bpf_ntohs(i.length);
	if (head < 20 || total < head || skb->len < off + total)
		DROP(MALFORMED);
	if (i.src != constants.ipv4)
		DROP(SOURCE);
	if (unroutable(i.dst))
		DROP(DESTINATION);
	if (head > 20 && source_routed(skb, off + 20, head - 20))
		DROP(SOURCE_ROUTE);

	__u16 flags = bpf_ntohs(i.flags);
	bool fragment = flags & 0x3fff, first = !(flags & 0x1fff);
	__u8 next = i.protocol;
	switch (next) {
	case ICMP4:
		if (fragment)
			DROP(FRAGMENTED);
		next = ICMP6;
		break;
	case HOP_BY_HOP: case ROUTING: case FRAGMENT: case DESTINATIONS: case ICMP6:
		DROP(PROTOCOL);
	}

	__u32 at = off + head, n = total - head, length = n + (fragment ? 8 : 0);
	int room = 20 - (int)head + (fragment ? 8 : 0);
	o.first = bpf_htonl(6 << 28 | (__u32)i.tos << 20);
	o.next = fragment ? FRAGMENT : next;
	o.hops = i.ttl;
	o.src.high = constants.ce.high;
	o.src.low = constants.ce.low;
	embed(&o.dst, i.dst);

	// Of what comes next only one is set.
	__u16 whole = 0;                                          // a UDP checksum that was none
	__s64 change = bpf_csum_diff(&i.src, 8, (__be32 *)&o.src, 32, 0); // that of TCP or UDP
	struct { struct icmp icmp; struct ip6 ip; struct fragment fragment; } q = {};
	__u32 rewritten = 0; // bytes of it

	if (first && next == TCP && n < 20)
		DROP(MALFORMED);
	if (first && next == UDP) {
		struct { __be16 src, dst, length; __u16 sum; } u;
		if (n < 8 || LOAD(at, u))
			DROP(MALFORMED);
		if (!u.sum) {
			struct pseudo p = { o.src, o.dst, bpf_htonl(n), bpf_htonl(UDP) };
			if (fragment)
				DROP(FRAGMENTED);
			if (bpf_ntohs(u.length) != n)
				DROP(MALFORMED);
			change = PLUS(0, &p, sizeof(p));
			if (!sum_of(skb, at, n, &change))
				DROP(FAILED);
			whole = after(0xffff, change);
			if (!whole)
				whole = 0xffff;
		}
	}
	if (next == ICMP6) {
		struct pseudo p = { o.src, o.dst, bpf_htonl(n), bpf_htonl(ICMP6) };
		struct icmp e;
		if (n < 8 || LOAD(at, e))
			DROP(MALFORMED);
		__u32 was = e.type | e.code << 8, is;
		if (e.type == 8 || e.type == 0) {
			q.icmp = e;
			q.icmp.type = e.type ? 128 : 129;
			rewritten = 8;
		} else {
			struct ip4 w;
			bool readable = n >= 28 && !LOAD(at + 8, w);
			if (!error6(&e, readable ? bpf_ntohs(w.length) : 0, &q.icmp))
				DROP(TYPE);
			if (!readable || w.version_head >> 4 != 4)
				DROP(QUOTED);
			__u32 whead = (w.version_head & 15) * 4, wtotal = bpf_ntohs(w.length);
			if (whead < 20 || wtotal < whead || n - 8 < whead || w.dst != constants.ipv4 || unroutable(w.src))
				DROP(QUOTED);
			__u16 wflags = bpf_ntohs(w.flags);
			bool wfragment = wflags & 0x3fff;
			__u8 wnext = w.protocol;
			switch (wnext) {
			case ICMP4:
				if (wfragment)
					DROP(QUOTED);
				wnext = ICMP6;
				break;
			case HOP_BY_HOP: case ROUTING: case FRAGMENT: case DESTINATIONS: case ICMP6:
				DROP(QUOTED);
			}
			q.ip.first = bpf_htonl(6 << 28 | (__u32)w.tos << 20);
			q.ip.length = bpf_htons(wtotal - whead + (wfragment ? 8 : 0));
			q.ip.next = wfragment ? FRAGMENT : wnext;
			q.ip.hops = w.ttl;
			embed(&q.ip.src, w.src);
			q.ip.dst = o.src;
			rewritten = 48;
			if (wfragment) {
				q.fragment.next = wnext;
				q.fragment.at = bpf_htons(wflags << 3 | (wflags >> 13 & 1));
				q.fragment.id = bpf_htonl(bpf_ntohs(w.id));
				rewritten = 56;
			}
			change = MINUS(0, &e.rest, 4);
			change = bpf_csum_diff((__be32 *)&w, 20, (__be32 *)&q.icmp.rest, 52, change);
			if (whead > 20) {
				__u8 options[CHUNK] = {};
				if (some(skb, at + 28, options, whead - 20))
					DROP(FAILED);
				change = MINUS(change, options, CHUNK);
			}
			if (!(wflags & 0x1fff)) {
				struct pseudo wp = { q.ip.src, q.ip.dst, bpf_htonl(wtotal - whead), bpf_htonl(ICMP6) };
				__s64 wchange = wnext == ICMP6 ? PLUS(0, &wp, sizeof(wp)) : bpf_csum_diff(&w.src, 8, (__be32 *)&q.ip.src, 32, 0);
				if (wnext == ICMP6) {
					__u8 type;
					if (n - 8 - whead < 8 || LOAD(at + 8 + whead, type) || type != 8 && type != 0)
						DROP(QUOTED);
				}
				if (!quoted(skb, at + 8 + whead, n - 8 - whead, wnext, wchange, &change))
					DROP(FAILED);
			}
			int more = rewritten - 8 - whead;
			room += more;
			length += more;
			if (length > 65535)
				DROP(MALFORMED);
			p.length = bpf_htonl(length);
			change = PLUS(change, &p, sizeof(p));
			is = q.icmp.type | q.icmp.code << 8;
			q.icmp.sum = after(e.sum, bpf_csum_diff(&was, 4, &is, 4, change));
		}
		if (rewritten == 8) {
			is = q.icmp.type | q.icmp.code << 8;
			change = PLUS(0, &p, sizeof(p));
			q.icmp.sum = after(e.sum, bpf_csum_diff(&was, 4, &is, 4, change));
		}
	}
	o.length = bpf_htons(length);

	if (ROOM(room) || bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0) < 0 || STORE(off, o))
		DROP(FAILED);
	at = off + 40;
	if (fragment) {
		struct fragment f = { next, 0, bpf_htons(flags << 3 | (flags >> 13 & 1)), bpf_htonl(bpf_ntohs(i.id)) };
		if (STORE(at, f))
			DROP(FAILED);
		at += 8;
	}
	if (rewritten == 56) {
		if (STORE(at, q))
			DROP(FAILED);
	} else if (rewritten == 48) {
		if (bpf_skb_store_bytes(skb, at, &q, 48, BPF_F_RECOMPUTE_CSUM) < 0)
			DROP(FAILED);
	} else if (rewritten) {
		if (STORE(at, q.icmp))
			DROP(FAILED);
	} else if (whole) {
		if (STORE(at + 6, whole))
			DROP(FAILED);
	} else if (first && (next == TCP || next == UDP)) {
		if (!checksum(skb, at, next, change))
			DROP(FAILED);
	}
	// A device without link header has no room that the kernel could find the end of one in (bpf_redirect_neigh drops).
	if (!off && bpf_skb_change_head(skb, ETH_HLEN, 0) < 0)
		DROP(FAILED);
	count(OUT + TRANSLATED, 0);
	return bpf_redirect_neigh(constants.wan, 0, 0, 0);
}

#undef DIRECTION

struct chain {
	__u32 n, behind; // bytes of payload, and how many of them are extension headers
	__u8 next;       // the first header, then the one behind them
	bool fragments;
	struct fragment fragment;
};

// chain_of leaves out extension headers. After a fragment header there is none: the offsets would be others without it. It is
// a function of its own, and a global one, for the verifier to walk once, and not once for each length.
__noinline int chain_of(struct __sk_buff *skb, struct chain *c)
{
	__u32 behind = 0, start = constants.wan_header + 40;
	__u8 next;

	if (!c)
		return HEADER;
	next = c->next;
#pragma clang loop unroll(disable)
	for (int k = 0; k < 7; k++) {
		struct { __u8 next, size, type, left; __be32 rest; } h;
		if (next != HOP_BY_HOP && next != ROUTING && next != DESTINATIONS && next != FRAGMENT) {
			c->next = next;
			c->behind = behind;
			return TRANSLATED;
		}
		if (c->fragments)
			return HEADER;
		if (c->n < behind + 8 || LOAD(start + behind, h))
			return MALFORMED;
		if (next == FRAGMENT) {
			c->fragments = true;
			if (LOAD(start + behind, c->fragment))
				return MALFORMED;
			behind += 8;
		} else {
			if (c->n < behind + h.size * 8 + 8)
				return MALFORMED;
			if (next == ROUTING && h.left)
				return PASSED; // The stack answers with an error (RFC 8200 section 4.4).
			behind += h.size * 8 + 8;
		}
		next = h.next;
		if (behind > 1024)
			return HEADER;
	}
	return HEADER;
}

#define DIRECTION IN

SEC("tc") int in64(struct __sk_buff *skb)
{
	__u32 off = constants.wan_header;
	struct ip6 i;
	struct ip4 o = {};

	if (skb->protocol != bpf_htons(ETH_P_IPV6) || LOAD(off, i) || bpf_ntohl(i.first) >> 28 != 6 || !same(&i.dst, &constants.ce))
		return TC_ACT_UNSPEC;
	__u32 n = bpf_ntohs(i.length);
	if (skb->len < off + 40 + n)
		DROP(MALFORMED);

	struct chain c = { .next = i.next, .n = n };
	switch (chain_of(skb, &c)) {
	case TRANSLATED:
		break;
	case PASSED:
		PASS();
	case MALFORMED:
		DROP(MALFORMED);
	default:
		DROP(HEADER);
	}
	struct fragment f = c.fragment;
	__u32 behind = c.behind;
	__u8 next = c.next;
	bool fragment = c.fragments;
	__u32 at = off + 40 + behind;
	__u16 place = bpf_ntohs(f.at);
	bool first = !(place & 0xfff8);
	n -= behind;

	__be32 src = 0;
	bool mapped = extract(&i.src, &src);
	struct icmp e = {};
	if (mapped && unroutable(src))
		DROP(SOURCE);
	if (!mapped) { // a router of the line, about a packet of ours (RFC 6791), or a neighbour
		__u8 type;
		if (next != ICMP6)
			DROP(SOURCE);
		if (n < 1 || LOAD(at, type) || type < 1 || type > 4)
			PASS();
		src = bpf_htonl(0xc0000008); // 192.0.0.8 (RFC 7600 section 4.8)
	}
	switch (next) {
	case ICMP4:
		DROP(PROTOCOL);
	case ICMP6:
		if (place & 0xfff9)
			DROP(FRAGMENTED);
	}
	if (first && constants.mask) {
		struct { __be16 src, dst, id; __u16 sum; } p;
		bool readable = n >= 8 && !LOAD(at, p);
		switch (next) {
		case TCP: case UDP:
			if (readable && !has_port(p.dst))
				DROP(PORT);
			break;
		case ICMP6:
			if (readable && bpf_ntohs(p.src) >> 9 == 64 && !has_port(p.id)) // types 128 and 129
				DROP(PORT);
			break;
		default:
			DROP(PORT);
		}
	}

	o.version_head = 0x45;
	o.tos = bpf_ntohl(i.first) >> 20;
	o.ttl = i.hops;
	o.protocol = next == ICMP6 ? ICMP4 : next;
	o.src = src;
	o.dst = constants.ipv4;

	__s64 change = bpf_csum_diff((__be32 *)&i.src, 32, &o.src, 8, 0);
	int room = -(int)behind;
	struct { struct icmp icmp; struct ip4 ip; } q = {};
	__u32 rewritten = 0, length = n + 20;

	if (first && next == TCP && n < 20)
		DROP(MALFORMED);
	if (first && next == UDP) {
		__u16 sum;
		if (n < 8 || LOAD(at + 6, sum))
			DROP(MALFORMED);
		if (!sum)
			DROP(CHECKSUM);
	}
	if (next == ICMP6) {
		struct pseudo p = { i.src, i.dst, bpf_htonl(n), bpf_htonl(ICMP6) };
		if (n < 8 || LOAD(at, e))
			DROP(MALFORMED);
		__u32 was = e.type | e.code << 8, is;
		change = MINUS(0, &p, sizeof(p));
		if (e.type == 128 || e.type == 129) {
			q.icmp = e;
			q.icmp.type = e.type == 128 ? 8 : 0;
			rewritten = 8;
		} else {
			struct ip6 w;
			struct fragment wf = {};
			__u32 whead = 40;
			if (!error4(&e, &q.icmp) || n < 48 || LOAD(at + 8, w) || bpf_ntohl(w.first) >> 28 != 6)
				PASS();
			__u8 wnext = w.next;
			__u32 wlength = bpf_ntohs(w.length);
			if (wnext == FRAGMENT) {
				if (n < 56 || wlength < 8 || LOAD(at + 48, wf))
					PASS();
				wnext = wf.next;
				wlength -= 8;
				whead = 48;
			}
			__u16 wplace = bpf_ntohs(wf.at);
			switch (wnext) {
			case HOP_BY_HOP: case ROUTING: case DESTINATIONS: case FRAGMENT: case ICMP4:
				PASS();
			case ICMP6:
				if (wplace & 0xfff9)
					PASS();
			}
			if (!same(&w.src, &constants.ce) || !extract(&w.dst, &q.ip.dst) || unroutable(q.ip.dst))
				PASS();
			__u32 left = n - 8 - whead, wat = at + 8 + whead;
			bool wfirst = !(wplace & 0xfff8);
			struct { __be16 src, dst, id; __u16 sum; } port = {};
			bool readable = left >= 8 && !LOAD(wat, port);
			if (wfirst && constants.mask) {
				switch (wnext) {
				case TCP: case UDP:
					if (readable && !has_port(port.src))
						DROP(PORT);
					break;
				case ICMP6:
					if (readable && bpf_ntohs(port.src) >> 9 == 64 && !has_port(port.id))
						DROP(PORT);
					break;
				default:
					DROP(PORT);
				}
			}
			if (wfirst && wnext == ICMP6 && (!readable || bpf_ntohs(port.src) >> 9 != 64))
				PASS();
			wlength += 20;
			if (wlength > 65535)
				PASS();
			q.ip.version_head = 0x45;
			q.ip.tos = bpf_ntohl(w.first) >> 20;
			q.ip.length = bpf_htons(wlength);
			q.ip.ttl = w.hops;
			q.ip.protocol = wnext == ICMP6 ? ICMP4 : wnext;
			q.ip.src = constants.ipv4;
			if (whead == 48) {
				q.ip.id = bpf_htons(bpf_ntohl(wf.id));
				q.ip.flags = bpf_htons(wplace >> 3 | (wplace & 1) << 13);
			} else if (wlength > 1260) {
				q.ip.flags = bpf_htons(0x4000);
			}
			q.ip.sum = after(0xffff, PLUS(0, &q.ip, sizeof(q.ip)));
			change = MINUS(change, &e.rest, 4);
			change = bpf_csum_diff((__be32 *)&w, 40, (__be32 *)&q.icmp.rest, 24, change);
			if (whead == 48)
				change = MINUS(change, &wf, 8);
			if (wfirst) {
				struct pseudo wp = { w.src, w.dst, bpf_htonl(wlength - 20), bpf_htonl(ICMP6) };
				__s64 wchange = wnext == ICMP6 ? MINUS(0, &wp, sizeof(wp)) : bpf_csum_diff((__be32 *)&w.src, 32, &q.ip.src, 8, 0);
				if (!quoted(skb, wat, left, wnext, wchange, &change))
					DROP(FAILED);
			}
			rewritten = 28;
			room -= whead - 20;
			length -= whead - 20;
		}
		is = q.icmp.type | q.icmp.code << 8;
		q.icmp.sum = after(e.sum, bpf_csum_diff(&was, 4, &is, 4, change));
	}
	if (length > 65535)
		DROP(MALFORMED);
	o.length = bpf_htons(length);
	if (fragment) {
		o.id = bpf_htons(bpf_ntohl(f.id));
		o.flags = bpf_htons(place >> 3 | (place & 1) << 13);
	} else if (length > 1260) {
		o.flags = bpf_htons(0x4000);
	} else {
		o.id = bpf_get_prandom_u32();
	}
	o.sum = after(0xffff, PLUS(0, &o, sizeof(o)));

	if (ROOM(room) || bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0) < 0 || STORE(off, o))
		DROP(FAILED);
	at = off + 20;
	if (rewritten == 28) {
		if (STORE(at, q))
			DROP(FAILED);
	} else if (rewritten) {
		if (STORE(at, q.icmp))
			DROP(FAILED);
	} else if (first && (next == TCP || next == UDP)) {
		if (!checksum(skb, at, next, change))
			DROP(FAILED);
	}
	count(IN + TRANSLATED, 0);
	return bpf_redirect(constants.tunnel, BPF_F_INGRESS);
}
