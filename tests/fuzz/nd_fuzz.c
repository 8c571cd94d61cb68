/*
 * Neighbour discovery: any message, from any address, to a port that is up. First octet: source address (its low bits
 * choose among some, so that tables fill and our own address occurs) and hop limit; the rest is the message. A second
 * message begins after a length octet, so that sequences are found as well.
 */
#include <stdlib.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/inet_sum.h"
#include "fabricd/link/port.h"
#include "tests/fuzz/fuzz.h"

struct counts {
	int neighbors, sent;
};

static void
send_nd(void *arg, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	struct nd_msg m;
	struct ip own = { .family = FAMILY_IPV6, .b = { 0xfe, 0x80, [15] = 1 } };

	(void)dst;
	((struct counts *)arg)->sent++;
	must(nd_parse(bytes, n, &own, NULL, 255, &m) == ND_OK, "we understand what we send");
}

static void
send_frame(void *arg, const uint8_t *bytes, size_t n)
{
	(void)arg;
	(void)bytes;
	(void)n;
}

static void
neighbor(void *arg, const struct ip *addr, enum link_how how)
{
	struct counts *c = arg;

	must(ip_is_link_local(addr), "a neighbour is link-local");
	c->neighbors += how == LINK_BY_NONE ? -1 : 1;
	must(c->neighbors >= 0 && c->neighbors <= 1, "one neighbour at a time");
}

static uint64_t
chance(void *arg)
{
	(void)arg;
	return 12345;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct link_ops ops = {
		.send_nd = send_nd, .send_frame = send_frame, .neighbor = neighbor, .random = chance
	};
	struct counts c = { 0 };
	struct link_port *p = link_port_new(NULL, "eth1", NULL, NULL, &ops, &c);
	struct link_status s = { .present = true, .admin_up = true, .carrier = true, .mac = { 2, 0, 0, 0, 0, 1 } };
	struct mono now = { SECONDS(1) };
	struct link_view v;

	s.link_local = (struct ip){ .family = FAMILY_IPV6, .b = { 0xfe, 0x80, [15] = 1 } };
	link_port_status(p, &s, now);
	while (n >= 2) {
		struct ip src = { .family = FAMILY_IPV6, .b = { 0xfe, 0x80, [15] = data[0] & 15 } };
		uint8_t control = data[0];
		size_t len = MIN_OF((size_t)data[1] * 4, n - 2);
		uint8_t *copy = malloc(len ? len : 1); /* exact, so that one byte too many is seen */

		if ((control & 0x30) == 0x30)
			src.b[0] = 0x20;
		if ((control & 0x3f) == 0x20)
			src = (struct ip){ .family = FAMILY_IPV6 };
		for (size_t i = 0; i < len; i++)
			copy[i] = data[2 + i];
		link_port_nd(p, &src, NULL, control & 0x40 ? 64 : 255, copy, len, now);
		if (control & 0x80)
			link_port_session(p, &src, control & 1, now);
		free(copy);
		data += 2 + len;
		n -= 2 + len;
		now = mono_add(now, MS(700));
		if (mono_due(link_port_deadline(p), now))
			link_port_timer(p, now);
		link_port_view(p, &v);
		must(v.nneighbors <= LINK_NEIGHBORS, "the table has a bound");
		must(!v.chosen || v.state == LINK_UP, "a neighbour on a port that is up");
	}
	link_port_free(p);
	return 0;
}
