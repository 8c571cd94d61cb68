/*
 * One port, and many: states, neighbours, schedules, and the fault cases R02 to R10 at the level of the engine. A small
 * clock drives each port by its own deadlines, so that what is tested is what a runtime would do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/link/port.h"

struct bench {
	struct mem mem;
	struct link_port *port;
	struct link_status status;
	struct mono now;
	uint64_t random;
	int rs, ra, ra_unicast, frames; /* sent */
	struct ip last_dst;
	uint8_t last_ra[ND_MESSAGE_MAX], last_frame[LLDP_FRAME_MAX];
	size_t last_ra_n, last_frame_n;
	struct ip neighbor;
	enum link_how how;
	int neighbor_calls, lldp_calls, alarms;
	char alarm[32], alarm_text[256];
	struct mono sent[4096]; /* when RAs were sent */
	size_t nsent;
};

static void
send_nd(void *arg, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	struct bench *b = arg;

	b->last_dst = *dst;
	if (bytes[0] == ND_RS) {
		b->rs++;
		return;
	}
	b->ra++;
	b->ra_unicast += !ip_is_multicast(dst);
	memcpy(b->last_ra, bytes, n);
	b->last_ra_n = n;
	if (b->nsent < ARRAY_LEN(b->sent))
		b->sent[b->nsent++] = b->now;
}

static void
send_frame(void *arg, const uint8_t *bytes, size_t n)
{
	struct bench *b = arg;

	b->frames++;
	memcpy(b->last_frame, bytes, n);
	b->last_frame_n = n;
}

static void
on_neighbor(void *arg, const struct ip *addr, enum link_how how)
{
	struct bench *b = arg;

	b->neighbor_calls++;
	b->neighbor = *addr;
	b->how = how;
}

static void
on_alarm(void *arg, const char *type, const char *text)
{
	struct bench *b = arg;

	b->alarms++;
	snprintf(b->alarm, sizeof(b->alarm), "%s", type);
	snprintf(b->alarm_text, sizeof(b->alarm_text), "%s", text);
}

static void
on_lldp(void *arg)
{
	((struct bench *)arg)->lldp_calls++;
}

static uint64_t
on_random(void *arg)
{
	struct bench *b = arg;

	return b->random = b->random * 6364136223846793005ull + 1442695040888963407ull;
}

static const struct link_ops ops = {
	.send_nd = send_nd,
	.send_frame = send_frame,
	.neighbor = on_neighbor,
	.alarm = on_alarm,
	.lldp = on_lldp,
	.random = on_random,
};

static struct ip
ll(unsigned int n)
{
	uint8_t b[16] = { 0xfe, 0x80, [14] = (uint8_t)(n >> 8), [15] = (uint8_t)n };

	return ip_v6(b);
}

static void
set_status(struct bench *b)
{
	link_port_status(b->port, &b->status, b->now);
}

static void
run(struct bench *b, int64_t us)
{
	struct mono end = mono_add(b->now, us);

	for (int guard = 0; guard < 100000; guard++) {
		struct mono d = link_port_deadline(b->port);

		if (d.us > end.us) {
			b->now = end;
			return;
		}
		b->now.us = MAX_OF(b->now.us, d.us);
		link_port_timer(b->port, b->now);
	}
	fail_msg("the deadline does not move");
}

/* eth1, whose own address is fe80::1; not yet up. */
static void
begin(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->now.us = SECONDS(100);
	b->random = 1;
	b->port = link_port_new(&b->mem, "eth1", NULL, NULL, &ops, b);
	b->status = (struct link_status){ .present = true,
		.admin_up = true,
		.carrier = true,
		.ifindex = 1,
		.mac = { 2, 0, 0, 0, 0, 1 },
		.mtu = 9216 };
	b->status.link_local = ll(1);
}

static void
begin_up(struct bench *b)
{
	begin(b);
	set_status(b);
}

static void
end(struct bench *b)
{
	link_port_free(b->port);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(b->mem.by[k].bytes, 0);
}

static struct link_view
view(const struct bench *b)
{
	struct link_view v;

	link_port_view(b->port, &v);
	return v;
}

/* A message of a neighbour; mac NULL: no option. */
static void
hear(struct bench *b, const struct ip *from, enum nd_type type, uint16_t lifetime_s, const uint8_t *mac)
{
	uint8_t buf[ND_MESSAGE_MAX] = { 0 };
	struct nd_router_advert ra = { .hop_limit = 64, .lifetime_s = lifetime_s, .mac = mac };
	size_t n;

	if (type == ND_RA) {
		n = nd_build_ra(buf, sizeof(buf), &ra);
	} else if (type == ND_RS) {
		n = nd_build_rs(buf, sizeof(buf), mac);
	} else { /* for our own address */
		n = 24;
		buf[0] = (uint8_t)type;
		memcpy(buf + 8, b->status.link_local.b, 16);
	}
	link_port_nd(b->port, from, NULL, 255, buf, n, b->now);
}

static void
hear_ra(struct bench *b, unsigned int from)
{
	struct ip a = ll(from);

	hear(b, &a, ND_RA, 1800, NULL);
}

/* ---- states ---- */

static void
states_and_reasons(void **state UNUSED)
{
	struct bench b;

	begin(&b);
	assert_int_equal(view(&b).state, LINK_MISSING);
	assert_true(mono_is_never(link_port_deadline(b.port)));
	b.status.admin_up = b.status.carrier = false;
	b.status.link_local = (struct ip){ .family = FAMILY_IPV6 };
	set_status(&b);
	assert_int_equal(view(&b).state, LINK_ADMIN_DOWN);
	b.status.admin_up = true;
	set_status(&b);
	assert_int_equal(view(&b).state, LINK_NO_CARRIER);
	b.status.carrier = true;
	set_status(&b);
	assert_int_equal(view(&b).state, LINK_NO_ADDRESS);
	assert_int_equal(b.rs + b.ra, 0);
	assert_int_equal(b.frames, 1); /* LLDP needs no address */
	hear_ra(&b, 2);
	assert_int_equal(b.neighbor_calls, 0);
	b.now.us += 500;
	b.status.link_local = ll(1);
	set_status(&b);
	assert_int_equal(view(&b).state, LINK_UP);
	assert_true(view(&b).since.us == b.now.us);
	assert_string_equal(link_state_name(LINK_UP), "up");
	hear_ra(&b, 2);
	assert_int_equal(b.how, LINK_BY_RA);
	b.status.present = false;
	set_status(&b);
	assert_int_equal(view(&b).state, LINK_MISSING);
	assert_int_equal(b.how, LINK_BY_NONE);
	assert_int_equal(view(&b).nneighbors, 0);
	assert_int_equal(view(&b).counters.transitions, 2);
	end(&b);
}

/* On carrier up one RS and one multicast RA at once; then RFC 4861's schedule. */
static void
advertisement_schedule(void **state UNUSED)
{
	struct bench b;
	struct nd_msg m;
	struct ip own = ll(1);

	begin_up(&b);
	assert_int_equal(b.rs, 1);
	assert_int_equal(b.ra, 1);
	assert_int_equal(nd_parse(b.last_ra, b.last_ra_n, &own, NULL, 255, &m), ND_OK);
	assert_int_equal(m.lifetime_s, 1800);
	assert_true(m.has_mac);
	run(&b, SECONDS(32)); /* three initial ones, at most 16 s apart */
	assert_int_equal(b.ra, 3);
	assert_in_range(b.rs, 5, 6); /* 1 + 2 + 4 + 8 + 16 s */
	run(&b, SECONDS(100000));
	for (size_t i = 3; i < b.nsent; i++)
		assert_in_range(mono_sub(b.sent[i], b.sent[i - 1]), SECONDS(200), SECONDS(600));
	assert_in_range(b.nsent, 170, 500);
	assert_in_range(b.rs, SECONDS(100000) / SECONDS(30), SECONDS(100000) / SECONDS(26) + 6);
	end(&b);
}

/* RFC 7559: an RS that was lost is sent again, until somebody answers. */
static void
solicits_until_a_neighbour_is_known(void **state UNUSED)
{
	struct bench b;
	struct ip far = ll(2);
	unsigned int rs;

	begin_up(&b);
	run(&b, SECONDS(1));
	assert_int_equal(b.rs, 2);
	hear_ra(&b, 2);
	rs = b.rs;
	run(&b, SECONDS(300));
	assert_int_equal(b.rs, rs);
	hear(&b, &far, ND_RA, 0, NULL); /* it leaves */
	assert_int_equal(b.how, LINK_BY_NONE);
	run(&b, SECONDS(30));
	assert_in_range(b.rs, rs + 3, rs + 5); /* at once, and so on */
	end(&b);
}

/* The first RS or RA of a neighbour is answered by a unicast RA at once. */
static void
first_contact(void **state UNUSED)
{
	struct bench b;
	struct ip two = ll(2), nobody = { .family = FAMILY_IPV6 };

	begin_up(&b);
	hear(&b, &two, ND_RS, 0, NULL);
	assert_int_equal(b.ra_unicast, 1);
	assert_true(ip_equal(&b.last_dst, &two));
	assert_int_equal(b.neighbor_calls, 0); /* hosts solicit, too */
	hear_ra(&b, 2);
	assert_int_equal(b.ra_unicast, 1); /* answered already */
	assert_int_equal(b.neighbor_calls, 1);
	assert_true(ip_equal(&b.neighbor, &two));
	hear_ra(&b, 2);
	assert_int_equal(b.ra_unicast, 1);
	assert_int_equal(b.neighbor_calls, 1);
	hear(&b, &two, ND_RS, 0, NULL); /* it has restarted */
	assert_int_equal(b.ra_unicast, 2);
	hear(&b, &nobody, ND_RS, 0, NULL); /* to all, RFC 4861 6.2.6; not sooner than 3 s after the last */
	assert_int_equal(b.ra, 3);
	run(&b, SECONDS(4));
	assert_int_equal(b.ra, 4);
	end(&b);
}

static void
first_contact_by_ra(void **state UNUSED)
{
	struct bench b;

	begin_up(&b);
	hear_ra(&b, 2);
	assert_int_equal(b.ra_unicast, 1);
	assert_int_equal(b.how, LINK_BY_RA);
	end(&b);
}

static void
inbound_without_an_ra(void **state UNUSED)
{
	struct bench b;
	struct ip two = ll(2), three = ll(3), far;

	begin(&b);
	assert_false(link_port_inbound(b.port, &two, b.now)); /* not up */
	set_status(&b);
	ip_parse("2001:db8::1", &far);
	assert_false(link_port_inbound(b.port, &far, b.now));
	assert_true(link_port_inbound(b.port, &two, b.now));
	assert_int_equal(b.how, LINK_BY_OPEN);
	link_port_session(b.port, &two, true, b.now);
	hear_ra(&b, 2);
	assert_int_equal(b.ra_unicast, 1); /* its first RA */
	assert_false(link_port_inbound(b.port, &three, b.now));
	assert_string_equal(b.alarm, "second-router");
	assert_true(link_port_inbound(b.port, &two, b.now)); /* the same one, again */
	run(&b, SECONDS(10000));
	assert_true(view(&b).chosen->established); /* never aged while the session is up */
	end(&b);
}

/* ---- the fault cases ---- */

static void
test_R01_bad_messages_are_counted(void **state UNUSED)
{
	struct bench b;
	uint8_t ra[16] = { 134 };
	struct ip two = ll(2), far;

	begin_up(&b);
	ip_parse("2001:db8::1", &far);
	link_port_nd(b.port, &two, NULL, 254, ra, sizeof(ra), b.now);
	link_port_nd(b.port, &far, NULL, 255, ra, sizeof(ra), b.now);
	link_port_nd(b.port, &two, &two, 255, ra, sizeof(ra), b.now);
	link_port_nd(b.port, &two, NULL, 255, ra, 15, b.now);
	ra[1] = 1;
	link_port_nd(b.port, &two, NULL, 255, ra, sizeof(ra), b.now);
	assert_int_equal(b.neighbor_calls, 0);
	assert_int_equal(view(&b).nneighbors, 0);
	assert_int_equal(view(&b).counters.nd_dropped[ND_BAD_HOP_LIMIT], 1);
	assert_int_equal(view(&b).counters.nd_dropped[ND_BAD_SOURCE], 1);
	assert_int_equal(view(&b).counters.nd_dropped[ND_BAD_CHECKSUM], 1);
	assert_int_equal(view(&b).counters.nd_dropped[ND_BAD_SHORT], 1);
	assert_int_equal(view(&b).counters.nd_dropped[ND_BAD_CODE], 1);
	end(&b);
}

static void
test_R02_lifetime_zero(void **state UNUSED)
{
	struct bench b;
	struct ip two = ll(2);

	begin_up(&b);
	hear_ra(&b, 2);
	link_port_session(b.port, &two, true, b.now);
	hear(&b, &two, ND_RA, 0, NULL);
	run(&b, SECONDS(3600));
	assert_int_equal(b.how, LINK_BY_RA); /* the session is not touched */
	assert_int_equal(b.neighbor_calls, 1);
	link_port_session(b.port, &two, false, b.now);
	assert_int_equal(b.neighbor_calls, 1); /* whose end this is may still be at work */
	run(&b, 1);
	assert_int_equal(b.how, LINK_BY_NONE); /* but it is not sought again */
	/* Without a session it goes at once; by its lifetime, in time. */
	hear_ra(&b, 2);
	assert_int_equal(b.how, LINK_BY_RA);
	hear(&b, &two, ND_RA, 0, NULL);
	assert_int_equal(b.how, LINK_BY_NONE);
	hear(&b, &two, ND_RA, 30, NULL);
	run(&b, SECONDS(29));
	assert_int_equal(b.how, LINK_BY_RA);
	run(&b, SECONDS(1));
	assert_int_equal(b.how, LINK_BY_NONE);
	assert_int_equal(view(&b).nneighbors, 0);
	end(&b);
}

static void
test_R03_second_router(void **state UNUSED)
{
	struct bench b;
	struct ip two = ll(2);

	begin_up(&b);
	hear_ra(&b, 2);
	link_port_session(b.port, &two, true, b.now);
	hear_ra(&b, 3);
	assert_int_equal(b.alarms, 1);
	assert_string_equal(b.alarm, "second-router");
	assert_non_null(strstr(b.alarm_text, "fe80::3"));
	assert_int_equal(b.neighbor_calls, 1);
	for (int i = 0; i < 1000; i++) {
		hear_ra(&b, 3);
		run(&b, MS(100));
	}
	assert_true(b.alarms <= 3); /* once a minute */
	assert_int_equal(b.neighbor_calls, 1);
	assert_true(view(&b).counters.ignored_routers >= 1000);
	/* Even when the session ends the first one stays, as long as it answers. */
	link_port_session(b.port, &two, false, b.now);
	run(&b, MS(100));
	hear_ra(&b, 2);
	run(&b, SECONDS(5));
	hear_ra(&b, 3);
	run(&b, MS(100));
	hear_ra(&b, 2);
	run(&b, SECONDS(5));
	assert_int_equal(b.neighbor_calls, 1);
	assert_true(ip_equal(&view(&b).chosen->addr, &two));
	end(&b);
}

static void
test_R04_flood_of_routers(void **state UNUSED)
{
	struct bench b;
	struct ip first = ll(2);
	int unicast;

	begin_up(&b);
	hear_ra(&b, 2);
	link_port_session(b.port, &first, true, b.now);
	unicast = b.ra_unicast;
	for (int i = 0; i < 100000; i++) { /* ten seconds of 10,000 a second */
		hear_ra(&b, 1000 + (unsigned int)(on_random(&b) >> 40) % 60000);
		run(&b, 100);
	}
	assert_true(view(&b).nneighbors <= LINK_NEIGHBORS);
	assert_true(ip_equal(&view(&b).chosen->addr, &first));
	assert_int_equal(b.neighbor_calls, 1);
	assert_in_range(b.ra_unicast - unicast, 1, 50); /* a few a second */
	assert_true(view(&b).counters.table_full > 90000);
	assert_true(b.alarms <= 1);
	end(&b);
}

static void
test_R05_neighbor_changes_its_address(void **state UNUSED)
{
	struct bench b;
	struct ip two = ll(2), three = ll(3);

	begin_up(&b);
	hear_ra(&b, 2);
	link_port_session(b.port, &two, true, b.now);
	run(&b, SECONDS(10));
	hear_ra(&b, 3); /* the same switch with another MAC: the old address is silent from now on */
	run(&b, SECONDS(9));
	assert_int_equal(b.neighbor_calls, 1);
	link_port_session(b.port, &two, false, b.now); /* BFD or hold timer */
	run(&b, SECONDS(1));
	assert_int_equal(b.how, LINK_BY_RA);
	assert_true(ip_equal(&b.neighbor, &three));
	assert_int_equal(view(&b).nneighbors, 1); /* old state is freed */
	/* Before any session, too. */
	run(&b, SECONDS(10));
	hear_ra(&b, 4);
	run(&b, SECONDS(1));
	assert_true(
	    ip_equal(&view(&b).chosen->addr, &(struct ip){ .family = FAMILY_IPV6, .b = { 0xfe, 0x80, [15] = 4 } }));
	end(&b);
}

static void
test_R06_duplicate_address(void **state UNUSED)
{
	static const uint8_t other_mac[6] = { 2, 0, 0, 0, 0, 9 };
	static const struct {
		const char *name;
		enum nd_type type;
		bool from_nobody;
	} cases[] = {
		{ "RA from our address", ND_RA, false },
		{ "RS from our address", ND_RS, false },
		{ "NS from our address", ND_NS, false },
		{ "NS of nobody for our address", ND_NS, true },
		{ "NA for our address", ND_NA, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		struct ip own = ll(1), nobody = { .family = FAMILY_IPV6 }, two = ll(2);
		bool has_mac = cases[i].type == ND_RA || cases[i].type == ND_RS;

		begin_up(&b);
		hear_ra(&b, 2);
		hear(&b, cases[i].from_nobody ? &nobody : &own, cases[i].type, 1800, has_mac ? other_mac : NULL);
		if (view(&b).state != LINK_DUPLICATE || b.how != LINK_BY_NONE ||
		    strcmp(b.alarm, "duplicate-address") != 0)
			fail_msg("%s: %s", cases[i].name, link_state_name(view(&b).state));
		assert_false(link_port_inbound(b.port, &two, b.now));
		/* A minute later we ask; while it answers the port stays refused, then it comes back by itself. */
		run(&b, SECONDS(60));
		assert_int_equal(view(&b).state, LINK_DUPLICATE);
		assert_int_equal(b.rs, 2);
		hear(&b, &own, ND_RA, 1800, other_mac);
		run(&b, SECONDS(59));
		assert_int_equal(view(&b).state, LINK_DUPLICATE);
		run(&b, SECONDS(2));
		assert_int_equal(view(&b).state, LINK_UP);
		end(&b);
	}
}

static void
test_R06_open_from_our_own_address(void **state UNUSED)
{
	struct bench b;
	struct ip own = ll(1);

	begin_up(&b);
	assert_false(link_port_inbound(b.port, &own, b.now));
	assert_int_equal(view(&b).state, LINK_DUPLICATE);
	b.status.link_local = ll(7); /* somebody gave us another address */
	set_status(&b);
	assert_int_equal(view(&b).state, LINK_UP);
	end(&b);
}

/* R07: 512 ports come up in the same 10 ms. */
static void
test_R07_burst_is_spread(void **state UNUSED)
{
	enum { N = 512 };
	static struct bench b[N];
	struct link_pace pace = { 0 };
	struct mono start = { SECONDS(100) };
	unsigned int slots[1000] = { 0 };
	int at_once = 0;

	for (int i = 0; i < N; i++) {
		begin(&b[i]);
		link_port_free(b[i].port);
		b[i].port = link_port_new(&b[i].mem, "eth", NULL, &pace, &ops, &b[i]);
		b[i].now = mono_add(start, i * 19); /* all within 9.8 ms */
		set_status(&b[i]);
		at_once += b[i].ra > 0;
	}
	assert_in_range(at_once, 10, 64);
	for (int i = 0; i < N; i++) { /* each is run to the end of the fifth second, and no neighbour answers */
		run(&b[i], SECONDS(5) - i * 19);
		assert_in_range(b[i].rs, 1, 4); /* nobody answers: again after 1 and 2 s */
		assert_in_range(b[i].nsent, 1, 2);
		slots[mono_sub(b[i].sent[0], start) / MS(10)] += 2; /* RS and RA */
	}
	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		assert_true(slots[i] <= 2 * 64);
	for (int i = 0; i < N; i++)
		end(&b[i]);
}

/* No more than 64 packets in any slot, and none is lost. */
static void
test_R07_answers_are_spread(void **state UNUSED)
{
	enum { N = 512 };
	static struct bench b[N];
	struct link_pace pace = { 0 };
	unsigned int slots[1000] = { 0 };
	struct mono start;

	for (int i = 0; i < N; i++) {
		begin(&b[i]);
		link_port_free(b[i].port);
		b[i].port = link_port_new(&b[i].mem, "eth", NULL, &pace, &ops, &b[i]);
		set_status(&b[i]);
		run(&b[i], SECONDS(10));
		b[i].nsent = 0;
	}
	start = b[0].now;
	for (int i = 0; i < N; i++)
		hear_ra(&b[i], 2);
	for (int i = 0; i < N; i++) {
		run(&b[i], SECONDS(5));
		for (size_t k = 0; k < b[i].nsent; k++)
			slots[mono_sub(b[i].sent[k], start) / MS(10)] += ip_is_multicast(&b[i].last_dst) ? 0 : 1;
		assert_true(b[i].ra_unicast == 1);
	}
	for (size_t i = 0; i < 100; i++)
		assert_true(slots[i] <= 64);
	for (int i = 0; i < N; i++)
		end(&b[i]);
}

static void
test_R08_flapping_port(void **state UNUSED)
{
	struct bench b;
	struct link_pace pace = { 0 };

	begin(&b);
	link_port_free(b.port);
	b.port = link_port_new(&b.mem, "eth1", NULL, &pace, &ops, &b);
	set_status(&b);
	hear_ra(&b, 2);
	for (int i = 0; i < 100; i++) { /* down, up, down in 50 ms, a hundred times */
		b.status.carrier = false;
		set_status(&b);
		run(&b, MS(20));
		b.status.carrier = true;
		set_status(&b);
		run(&b, MS(20));
		b.status.carrier = false;
		set_status(&b);
		run(&b, MS(10));
	}
	assert_int_equal(view(&b).state, LINK_NO_CARRIER);
	assert_int_equal(b.how, LINK_BY_NONE);
	b.ra = b.rs = 0;
	b.status.carrier = true;
	set_status(&b);
	run(&b, MS(10));
	assert_int_equal(view(&b).state, LINK_UP);
	assert_int_equal(b.rs, 1);
	assert_int_equal(b.ra, 1); /* sent again */
	hear_ra(&b, 2);
	assert_int_equal(b.how, LINK_BY_RA);
	assert_int_equal(view(&b).counters.transitions, 203);
	end(&b);
}

/* R09: one MAC, so one link-local address, on every port; the neighbours are alike as well. */
static void
test_R09_same_address_on_every_port(void **state UNUSED)
{
	struct bench b[4];

	for (int i = 0; i < 4; i++) {
		begin_up(&b[i]);
		hear_ra(&b[i], 2);
		assert_int_equal(view(&b[i]).state, LINK_UP);
		assert_int_equal(b[i].how, LINK_BY_RA);
		assert_int_equal(b[i].alarms, 0);
	}
	for (int i = 0; i < 4; i++)
		end(&b[i]);
}

static void
test_R10_reflected(void **state UNUSED)
{
	struct bench b;
	struct ip own = ll(1);

	begin_up(&b);
	link_port_nd(b.port, &own, NULL, 255, b.last_ra, b.last_ra_n, b.now);
	assert_int_equal(view(&b).state, LINK_LOOPED);
	assert_string_equal(b.alarm, "loop");
	assert_int_equal(b.neighbor_calls, 0); /* no session with ourselves */
	assert_int_equal(view(&b).counters.own_seen, 1);
	end(&b);
	/* The same by LLDP, before there is an address. */
	begin(&b);
	b.status.link_local = (struct ip){ .family = FAMILY_IPV6 };
	set_status(&b);
	link_port_frame(b.port, b.last_frame, b.last_frame_n, b.now);
	b.status.link_local = ll(1);
	assert_string_equal(b.alarm, "loop");
	end(&b);
}

/* ---- LLDP ---- */

static void
lldp_from(struct bench *b, const char *fabric, const char *node, const char *port, uint16_t ttl_s, uint16_t max_frame)
{
	struct lldp_advert a = { .mac = { 2, 0, 0, 0, 0, 0x22 },
		.port_name = port,
		.system_name = node,
		.ttl_s = ttl_s,
		.max_frame = max_frame,
		.ours.present = fabric != NULL };
	uint8_t frame[LLDP_FRAME_MAX];
	size_t n;

	if (fabric) {
		snprintf(a.ours.fabric, sizeof(a.ours.fabric), "%s", fabric);
		snprintf(a.ours.node, sizeof(a.ours.node), "%s", node);
		snprintf(a.ours.port, sizeof(a.ours.port), "%s", port);
	}
	n = lldp_build(frame, sizeof(frame), &a);
	link_port_frame(b->port, frame, n, b->now);
}

static void
lldp_schedule_and_ageing(void **state UNUSED)
{
	struct bench b;
	struct link_identity me = { .fabric = "lab", .node = "leaf1", .serial = "S1", .revision = "8c1f02a" };
	struct lldp_info info;
	int frames;

	begin(&b);
	link_port_identity(b.port, &me, b.now);
	set_status(&b);
	assert_int_equal(b.frames, 1);
	assert_int_equal(lldp_parse(b.last_frame, b.last_frame_n, &info), LLDP_OK);
	assert_string_equal(info.ours.node, "leaf1");
	assert_string_equal(info.ours.port, "eth1");
	assert_string_equal(info.ours.revision, "8c1f02a");
	assert_int_equal(info.max_frame, 9234);
	assert_int_equal(info.ttl_s, 121);
	run(&b, SECONDS(3));
	assert_int_equal(b.frames, 4); /* the fast start */
	run(&b, SECONDS(300));
	assert_in_range(b.frames, 14, 16);
	frames = b.frames;
	lldp_from(&b, "lab", "spine1", "eth1", 121, 0);
	run(&b, SECONDS(4));
	assert_in_range(b.frames - frames, 4, 5); /* a new neighbour: fast again */
	assert_int_equal(b.lldp_calls, 1);
	lldp_from(&b, "lab", "spine1", "eth1", 121, 0);
	assert_int_equal(b.lldp_calls, 1); /* nothing new */
	run(&b, SECONDS(120));
	assert_non_null(view(&b).lldp);
	run(&b, SECONDS(2));
	assert_null(view(&b).lldp);
	assert_int_equal(b.lldp_calls, 2);
	lldp_from(&b, "lab", "spine1", "eth1", 121, 0);
	lldp_from(&b, "lab", "spine1", "eth1", 0, 0); /* it shuts down */
	assert_null(view(&b).lldp);
	me.node = "leaf9";
	frames = b.frames;
	link_port_identity(b.port, &me, b.now);
	assert_int_equal(b.frames, frames + 1);
	end(&b);
}

static void
cabling(void **state UNUSED)
{
	static const struct {
		const char *name, *fabric, *node, *port;
		enum link_match want;
		const char *text;
	} cases[] = {
		{ "as in the file", "lab", "spine1", "eth3", LINK_MATCH, "" },
		{ "swapped spine", "lab", "spine2", "eth3", LINK_WRONG_NODE,
		    "expected spine1 eth3, found spine2 eth3" },
		{ "wrong port", "lab", "spine1", "eth4", LINK_WRONG_PORT, "expected spine1 eth3, found spine1 eth4" },
		{ "other fabric", "prod", "spine1", "eth3", LINK_WRONG_FABRIC,
		    "expected fabric lab, found fabric prod (spine1)" },
		{ "unprovisioned", "", "", "eth3", LINK_MATCH_UNKNOWN, "" },
		{ "other vendor", NULL, "spine1.example.net", "eth3", LINK_MATCH, "" },
		{ "other vendor, wrong node", NULL, "spine10", "eth3", LINK_WRONG_NODE,
		    "expected spine1 eth3, found spine10 eth3" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct link_expect e = { .fabric = "lab", .node = "spine1", .port = "eth3" };
		struct bench b;
		struct link_view v;

		begin_up(&b);
		link_port_expect(b.port, &e, b.now);
		assert_int_equal(view(&b).match, LINK_MATCH_UNKNOWN);
		lldp_from(&b, cases[i].fabric, cases[i].node, cases[i].port, 121, 9234);
		v = view(&b);
		if (v.match != cases[i].want || strcmp(v.mismatch, cases[i].text) != 0)
			fail_msg("%s: %s: %s", cases[i].name, link_match_name(v.match), v.mismatch);
		assert_int_equal(b.alarms, cases[i].want > LINK_MATCH);
		assert_false(v.mtu_mismatch);
		end(&b);
	}
}

static void
mtu_mismatch_is_shown(void **state UNUSED)
{
	struct bench b;

	begin_up(&b);
	lldp_from(&b, "lab", "spine1", "eth1", 121, 1518);
	assert_true(view(&b).mtu_mismatch);
	assert_string_equal(b.alarm, "mtu-mismatch");
	assert_non_null(strstr(b.alarm_text, "9216"));
	assert_non_null(strstr(b.alarm_text, "1500"));
	end(&b);
}

/* Another make counts headers in its own way, or tells what its hardware can take: only too small is wrong. */
static void
mtu_of_another_make(void **state UNUSED)
{
	static const struct {
		uint16_t frame;
		bool wrong;
	} cases[] = { { 1518, true }, { 9215, true }, { 9216, false }, { 9230, false }, { 9238, false },
		{ 9416, false } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;

		begin_up(&b);
		lldp_from(&b, NULL, "spine1", "eth1", 121, cases[i].frame);
		assert_int_equal(view(&b).mtu_mismatch, cases[i].wrong);
		end(&b);
	}
}

static void
lldp_table_is_bounded(void **state UNUSED)
{
	struct bench b;
	char port[8];

	begin_up(&b);
	for (int i = 0; i < 100; i++) {
		snprintf(port, sizeof(port), "p%d", i);
		lldp_from(&b, "lab", "x", port, 121, 0);
	}
	assert_int_equal(view(&b).nlldp, LINK_LLDP);
	assert_int_equal(view(&b).counters.table_full, 100 - LINK_LLDP);
	b.status.carrier = false;
	set_status(&b);
	assert_int_equal(view(&b).nlldp, 0);
	end(&b);
}

static void
goodbye(void **state UNUSED)
{
	struct bench b;
	struct nd_msg m;
	struct ip own = ll(1);
	struct lldp_info info;

	begin(&b);
	link_port_goodbye(b.port, b.now);
	assert_int_equal(b.ra + b.frames, 0);
	set_status(&b);
	link_port_goodbye(b.port, b.now);
	assert_int_equal(nd_parse(b.last_ra, b.last_ra_n, &own, NULL, 255, &m), ND_OK);
	assert_int_equal(m.lifetime_s, 0);
	assert_int_equal(lldp_parse(b.last_frame, b.last_frame_n, &info), LLDP_OK);
	assert_int_equal(info.ttl_s, 0);
	end(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_and_reasons),
		cmocka_unit_test(advertisement_schedule),
		cmocka_unit_test(solicits_until_a_neighbour_is_known),
		cmocka_unit_test(first_contact),
		cmocka_unit_test(first_contact_by_ra),
		cmocka_unit_test(inbound_without_an_ra),
		cmocka_unit_test(test_R01_bad_messages_are_counted),
		cmocka_unit_test(test_R02_lifetime_zero),
		cmocka_unit_test(test_R03_second_router),
		cmocka_unit_test(test_R04_flood_of_routers),
		cmocka_unit_test(test_R05_neighbor_changes_its_address),
		cmocka_unit_test(test_R06_duplicate_address),
		cmocka_unit_test(test_R06_open_from_our_own_address),
		cmocka_unit_test(test_R07_burst_is_spread),
		cmocka_unit_test(test_R07_answers_are_spread),
		cmocka_unit_test(test_R08_flapping_port),
		cmocka_unit_test(test_R09_same_address_on_every_port),
		cmocka_unit_test(test_R10_reflected),
		cmocka_unit_test(lldp_schedule_and_ageing),
		cmocka_unit_test(cabling),
		cmocka_unit_test(mtu_mismatch_is_shown),
		cmocka_unit_test(mtu_of_another_make),
		cmocka_unit_test(lldp_table_is_bounded),
		cmocka_unit_test(goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
