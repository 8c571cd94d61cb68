/* tests/unit/link/advertiser_test.c -- when a rack's hosts hear of their router */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/link/advertiser.h"

struct host {
	unsigned int heard;
	struct nd_msg last;
	uint8_t bytes[ND_MESSAGE_MAX];
	size_t n;
};

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };

static void
hear(void *arg, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	struct host *h = arg;
	struct ip src = nd_link_local(mac), unknown = { .family = FAMILY_IPV6 };

	assert_true(ip_is_multicast(dst));
	assert_int_equal(nd_parse(bytes, n, &src, &unknown, 255, &h->last), ND_OK);
	memcpy(h->bytes, bytes, n);
	h->n = n;
	h->heard++;
}

static uint64_t
middling(void *arg)
{
	(void)arg;
	return 250000; /* 250 ms of a 500 ms delay; 200.25 s between two advertisements */
}

static const struct advertiser_ops ops = { .send = hear, .random = middling };

static struct advertiser *
make(struct host *h)
{
	struct advertiser_config cfg = { 0 };

	assert_true(prefix_parse("fd00:1:0:3::/64", &cfg.prefix));
	memset(h, 0, sizeof(*h));
	return advertiser_new(NULL, &cfg, &ops, h);
}

static void
run_to(struct advertiser *a, int64_t us)
{
	while (advertiser_deadline(a).us <= us)
		advertiser_timer(a, advertiser_deadline(a));
}

static void
solicit(struct advertiser *a, uint8_t hop_limit, struct mono now)
{
	struct ip src = { .family = FAMILY_IPV6, .b = { 0xfe, 0x80, [15] = 9 } }, dst = { .family = FAMILY_IPV6 };
	uint8_t bytes[ND_MESSAGE_MAX];
	size_t n = nd_build_rs(bytes, sizeof(bytes), mac);

	advertiser_nd(a, &src, &dst, hop_limit, bytes, n, now);
}

static void
test_three_soon_then_seldom(void **state)
{
	struct host h;
	struct advertiser *a = make(&h);

	(void)state;
	assert_true(mono_is_never(advertiser_deadline(a)));
	advertiser_up(a, mac, 9000, (struct mono){ 0 });
	assert_int_equal(h.heard, 1);
	assert_int_equal(h.last.lifetime_s, 1800);
	assert_int_equal(h.last.mtu, 9000);
	run_to(a, SECONDS(33));
	assert_int_equal(h.heard, 3);
	run_to(a, SECONDS(200));
	assert_int_equal(h.heard, 3);
	run_to(a, SECONDS(700));
	assert_in_range(h.heard, 5, 6);
	advertiser_free(a);
}

static void
test_the_prefix_is_in_it(void **state)
{
	static const uint8_t net[] = { 0xfd, 0, 0, 1, 0, 0, 0, 3 };
	struct host h;
	struct advertiser *a = make(&h);
	bool found = false;

	(void)state;
	advertiser_up(a, mac, 0, (struct mono){ 0 });
	for (size_t i = 16; i + 32 <= h.n && h.bytes[i + 1]; i += h.bytes[i + 1] * 8u)
		if (h.bytes[i] == 3) { /* prefix information, RFC 4861 4.6.2 */
			found = true;
			assert_int_equal(h.bytes[i + 2], 64);
			assert_int_equal(h.bytes[i + 3] & 0xc0, 0xc0); /* on-link, autonomous */
			assert_memory_equal(h.bytes + i + 16, net, sizeof(net));
		}
	assert_true(found);
	advertiser_free(a);
}

static void
test_solicitations_share_an_answer(void **state)
{
	struct host h;
	struct advertiser *a = make(&h);

	(void)state;
	advertiser_up(a, mac, 0, (struct mono){ 0 });
	run_to(a, SECONDS(40));
	h.heard = 0;
	for (int i = 0; i < 50; i++)
		solicit(a, 255, (struct mono){ SECONDS(40) });
	run_to(a, SECONDS(41));
	assert_int_equal(h.heard, 1);
	for (int i = 0; i < 50; i++)
		solicit(a, 255, (struct mono){ SECONDS(41) });
	run_to(a, SECONDS(42));
	assert_int_equal(h.heard, 1); /* MIN_DELAY_BETWEEN_RAS */
	run_to(a, SECONDS(44));
	assert_int_equal(h.heard, 2);
	assert_int_equal(advertiser_counters(a)->rx_rs, 100);
	advertiser_free(a);
}

static void
test_a_solicitation_through_a_router_is_dropped(void **state)
{
	struct host h;
	struct advertiser *a = make(&h);

	(void)state;
	advertiser_up(a, mac, 0, (struct mono){ 0 });
	run_to(a, SECONDS(40));
	h.heard = 0;
	solicit(a, 254, (struct mono){ SECONDS(40) });
	run_to(a, SECONDS(50));
	assert_int_equal(h.heard, 0);
	assert_int_equal(advertiser_counters(a)->nd_dropped[ND_BAD_HOP_LIMIT], 1);
	advertiser_free(a);
}

static void
test_a_bridge_that_is_down_says_nothing(void **state)
{
	struct host h;
	struct advertiser *a = make(&h);

	(void)state;
	advertiser_up(a, mac, 0, (struct mono){ 0 });
	advertiser_down(a);
	assert_true(mono_is_never(advertiser_deadline(a)));
	solicit(a, 255, (struct mono){ SECONDS(10) });
	assert_true(mono_is_never(advertiser_deadline(a)));
	advertiser_up(a, mac, 0, (struct mono){ SECONDS(20) });
	assert_int_equal(h.heard, 2);
	advertiser_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_soon_then_seldom),
		cmocka_unit_test(test_the_prefix_is_in_it),
		cmocka_unit_test(test_solicitations_share_an_answer),
		cmocka_unit_test(test_a_solicitation_through_a_router_is_dropped),
		cmocka_unit_test(test_a_bridge_that_is_down_says_nothing),
	};

	return cmocka_run_group_tests_name("advertiser", tests, NULL, NULL);
}
