/* fabricd/link/advertiser.c -- see advertiser.h; the constants are those of RFC 4861 6.2.1 and 10 */
#include <string.h>

#include "fabricd/link/advertiser.h"

#define MIN_INTERVAL     SECONDS(200)
#define MAX_INTERVAL     SECONDS(600)
#define INITIAL_INTERVAL SECONDS(16) /* MAX_INITIAL_RTR_ADVERT_INTERVAL */
#define INITIAL_COUNT    3           /* MAX_INITIAL_RTR_ADVERTISEMENTS */
#define MIN_DELAY        SECONDS(3)  /* MIN_DELAY_BETWEEN_RAS */
#define ANSWER_DELAY     MS(500)     /* MAX_RA_DELAY_TIME */
#define LIFETIME_S       1800
#define VALID_S          2592000
#define PREFERRED_S      604800

struct advertiser {
	struct mem *mem;
	struct advertiser_config cfg;
	const struct advertiser_ops *ops;
	void *arg;
	bool up;
	uint8_t mac[6];
	uint32_t mtu;
	unsigned int initial; /* still to be sent at the short interval */
	bool sent;
	struct mono last, next;
	struct advertiser_counters count;
};

struct advertiser *
advertiser_new(struct mem *mem, const struct advertiser_config *cfg, const struct advertiser_ops *ops, void *arg)
{
	struct advertiser *a = mem_zalloc(mem, MEM_LINK, sizeof(*a));

	a->mem = mem;
	a->cfg = *cfg;
	a->ops = ops;
	a->arg = arg;
	a->next = MONO_NEVER;
	return a;
}

void
advertiser_free(struct advertiser *a)
{
	if (a)
		mem_free(a->mem, MEM_LINK, a);
}

static void
send_ra(struct advertiser *a, struct mono now)
{
	struct nd_router_advert ra = { .hop_limit = 64,
		.lifetime_s = LIFETIME_S,
		.mtu = a->mtu,
		.mac = a->mac,
		.on_link = a->cfg.prefix,
		.valid_s = VALID_S,
		.preferred_s = PREFERRED_S };
	uint8_t bytes[ND_MESSAGE_MAX];
	struct ip all = nd_all_nodes();
	size_t n = nd_build_ra(bytes, sizeof(bytes), &ra);

	a->last = now;
	a->sent = true;
	a->count.tx_ra++;
	a->ops->send(a->arg, &all, bytes, n);
}

static void
plan_next(struct advertiser *a, struct mono now)
{
	int64_t wait = MIN_INTERVAL + (int64_t)(a->ops->random(a->arg) % (uint64_t)(MAX_INTERVAL - MIN_INTERVAL));

	if (a->initial) {
		a->initial--;
		wait = INITIAL_INTERVAL;
	}
	a->next = mono_add(now, wait);
}

void
advertiser_up(struct advertiser *a, const uint8_t mac[6], uint32_t mtu, struct mono now)
{
	bool same = a->up && memcmp(a->mac, mac, sizeof(a->mac)) == 0 && a->mtu == mtu;

	if (same)
		return;
	a->up = true;
	memcpy(a->mac, mac, sizeof(a->mac));
	a->mtu = mtu;
	a->initial = INITIAL_COUNT - 1;
	send_ra(a, now);
	plan_next(a, now);
}

void
advertiser_down(struct advertiser *a)
{
	a->up = false;
	a->next = MONO_NEVER;
}

void
advertiser_nd(struct advertiser *a, const struct ip *src, const struct ip *dst, uint8_t hop_limit, const uint8_t *bytes,
    size_t n, struct mono now)
{
	struct nd_msg m;
	struct mono soonest, at;
	enum nd_verdict v = nd_parse(bytes, n, src, dst, hop_limit, &m);

	if (v != ND_OK) {
		a->count.nd_dropped[v]++;
		return;
	}
	a->count.other_routers += m.type == ND_RA;
	if (m.type != ND_RS)
		return;
	if (!a->up) {
		a->count.not_up++;
		return;
	}
	a->count.rx_rs++;
	/* One multicast answer for all who ask at about the same time, and not more than one in three seconds. */
	at = mono_add(now, (int64_t)(a->ops->random(a->arg) % (uint64_t)ANSWER_DELAY));
	soonest = a->sent ? mono_add(a->last, MIN_DELAY) : now;
	if (at.us < soonest.us)
		at = soonest;
	a->next = mono_min(a->next, at);
}

struct mono
advertiser_deadline(const struct advertiser *a)
{
	return a->next;
}

void
advertiser_timer(struct advertiser *a, struct mono now)
{
	if (!a->up || !mono_due(a->next, now))
		return;
	send_ra(a, now);
	plan_next(a, now);
}

const struct advertiser_counters *
advertiser_counters(const struct advertiser *a)
{
	return &a->count;
}
