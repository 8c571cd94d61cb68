/* tests/unit/link/port_snapshot_test.c -- what a port knows goes along to a successor, and what is none of it does not */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/link/port_snapshot.h"

struct side {
	struct mem mem;
	struct link_port *port;
	int lldp_calls, alarms, frames;
};

static void
send_nd(void *arg, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	(void)arg;
	(void)dst;
	(void)bytes;
	(void)n;
}

static void
send_frame(void *arg, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	(void)n;
	((struct side *)arg)->frames++;
}

static void
on_neighbor(void *arg, const struct ip *addr, enum link_how how)
{
	(void)arg;
	(void)addr;
	(void)how;
}

static void
on_alarm(void *arg, const char *type, const char *text)
{
	(void)type;
	(void)text;
	((struct side *)arg)->alarms++;
}

static void
on_lldp(void *arg)
{
	((struct side *)arg)->lldp_calls++;
}

static const struct link_ops ops = {
	.send_nd = send_nd, .send_frame = send_frame, .neighbor = on_neighbor, .alarm = on_alarm, .lldp = on_lldp
};

static struct mono
at(int64_t s)
{
	return (struct mono){ .us = SECONDS(1000 + s) };
}

static void
make(struct side *s)
{
	static const struct link_expect expect = { .fabric = "dc1", .node = "spine2", .port = "swp7" };

	memset(s, 0, sizeof(*s));
	s->port = link_port_new(&s->mem, "swp49", NULL, NULL, &ops, s);
	link_port_expect(s->port, &expect, at(0));
}

static void
up(struct side *s, struct mono now)
{
	struct link_status status = { .present = true,
		.admin_up = true,
		.carrier = true,
		.ifindex = 7,
		.mac = { 2, 0, 0, 0, 0, 1 },
		.mtu = 9216,
		.link_local = { .family = FAMILY_IPV6, .b = { 0xfe, 0x80, [15] = 1 } } };

	link_port_status(s->port, &status, now);
}

static void
hear(struct side *s, uint8_t who, const char *node, struct mono now)
{
	struct lldp_advert a = { .mac = { 2, 0, 0, 0, 1, who },
		.port_name = "swp7",
		.port_description = "to leaf1",
		.system_name = node,
		.system_description = "a switch",
		.ttl_s = 121,
		.max_frame = 9018,
		.ours = {
		    .present = true, .fabric = "dc1", .serial = "S/N 1", .port = "swp7", .revision = "e47043a" } };
	uint8_t frame[LLDP_FRAME_MAX];

	snprintf(a.ours.node, sizeof(a.ours.node), "%s", node);
	link_port_frame(s->port, frame, lldp_build(frame, sizeof(frame), &a), now);
}

static size_t
save(const struct side *s, uint8_t *buf)
{
	struct wr w = wr_make(buf, LINK_SNAPSHOT_MAX);

	link_port_save(s->port, &w);
	assert_false(w.full);
	return wr_len(&w);
}

static void
end(struct side *s)
{
	link_port_free(s->port);
	assert_int_equal(s->mem.by[MEM_LINK].bytes, 0);
}

/* As many neighbours as there may be, the wrong one and another MTU among them: told before, and not again. */
static void
what_was_heard_is_known(void **state)
{
	uint8_t buf[LINK_SNAPSHOT_MAX], again[LINK_SNAPSHOT_MAX];
	struct side old, new;
	struct link_view was, is;
	size_t n;

	(void)state;
	make(&old);
	up(&old, at(0));
	for (uint8_t i = 1; i <= LINK_LLDP; i++)
		hear(&old, i, i == LINK_LLDP ? "spine1" : "spine2", at(10 + i));
	assert_int_equal(old.alarms, 2);
	n = save(&old, buf);
	for (int early = 0; early < 2; early++) { /* the port comes up before, and after */
		make(&new);
		if (early)
			up(&new, at(20));
		assert_int_equal(link_port_restore(new.port, rd_make(buf, n), at(20)), 0);
		if (!early)
			up(&new, at(20));
		link_port_view(old.port, &was);
		link_port_view(new.port, &is);
		assert_int_equal(is.since.us, at(0).us);
		assert_int_equal(is.nlldp, LINK_LLDP);
		assert_memory_equal(is.lldp, was.lldp, sizeof(*is.lldp));
		assert_int_equal(is.match, LINK_WRONG_NODE);
		assert_string_equal(is.mismatch, was.mismatch);
		assert_true(is.mtu_mismatch);
		assert_int_equal(save(&new, again), n);
		assert_memory_equal(again, buf, n);
		hear(&new, LINK_LLDP, "spine1", at(21)); /* nothing new */
		assert_int_equal(new.alarms + new.lldp_calls, 0);
		link_port_timer(new.port, at(10 + 2 + 121)); /* two of them age when they would have */
		link_port_view(new.port, &is);
		assert_int_equal(is.nlldp, LINK_LLDP - 2);
		end(&new);
	}
	end(&old);
}

static void
what_is_newer_stays(void **state)
{
	uint8_t buf[LINK_SNAPSHOT_MAX];
	struct side old, new;
	struct link_view v;
	size_t n;

	(void)state;
	make(&old);
	up(&old, at(0));
	hear(&old, 1, "spine1", at(1));
	n = save(&old, buf);
	make(&new);
	up(&new, at(2));
	hear(&new, 1, "spine2", at(2));
	assert_int_equal(link_port_restore(new.port, rd_make(buf, n), at(3)), 0);
	link_port_view(new.port, &v);
	assert_string_equal(v.lldp->ours.node, "spine2");
	end(&new);
	end(&old);
}

/* A port that comes up later for another reason has not been up before. */
static void
a_port_that_was_dark(void **state)
{
	uint8_t buf[LINK_SNAPSHOT_MAX];
	struct side old, new;
	struct link_view v;

	(void)state;
	make(&old);
	make(&new);
	assert_int_equal(link_port_restore(new.port, rd_make(buf, save(&old, buf)), at(3)), 0);
	up(&new, at(5));
	link_port_view(new.port, &v);
	assert_int_equal(v.since.us, at(5).us);
	assert_int_equal(v.nlldp, 0);
	end(&new);
	end(&old);
}

/* Cut anywhere, from the future, with too many neighbours, with what cannot be shown: refused, and nothing is changed. */
static void
damage_is_refused(void **state)
{
	uint8_t buf[LINK_SNAPSHOT_MAX + 1], bad[LINK_SNAPSHOT_MAX + 1];
	struct side old, new;
	struct link_view v;
	size_t n;

	(void)state;
	make(&old);
	up(&old, at(0));
	hear(&old, 1, "spine2", at(1));
	n = save(&old, buf);
	make(&new);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(link_port_restore(new.port, rd_make(buf, i), at(9)), -EBADMSG);
	buf[n] = 0;
	assert_int_equal(link_port_restore(new.port, rd_make(buf, n + 1), at(9)), -EBADMSG);
	assert_int_equal(link_port_restore(new.port, rd_make(buf, n), at(-1)), -EBADMSG);
	assert_int_equal(link_port_restore(new.port, rd_make(buf, n), at(0)), -EBADMSG);
	for (size_t i = 0; i < n; i++) { /* each octet as 255: either refused, or something that can be shown */
		memcpy(bad, buf, n);
		bad[i] = 255;
		if (link_port_restore(new.port, rd_make(bad, n), at(9)) == 0) {
			link_port_view(new.port, &v);
			assert_true(v.nlldp <= 1);
			end(&new);
			make(&new);
		}
	}
	memcpy(bad, buf, n);
	bad[11] = LINK_LLDP + 1;
	assert_int_equal(link_port_restore(new.port, rd_make(bad, n), at(9)), -EBADMSG);
	memcpy(bad, buf, n);
	bad[0] = LINK_STATES;
	assert_int_equal(link_port_restore(new.port, rd_make(bad, n), at(9)), -EBADMSG);
	link_port_view(new.port, &v);
	assert_int_equal(v.nlldp, 0);
	end(&new);
	end(&old);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_heard_is_known),
		cmocka_unit_test(what_is_newer_stays),
		cmocka_unit_test(a_port_that_was_dark),
		cmocka_unit_test(damage_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
