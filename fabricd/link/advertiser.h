/*
 * fabricd/link/advertiser.h -- router advertisements to the hosts of a rack (RFC 4861 6.2)
 *
 * The switch is the rack's default router. On the bridge of its host ports it advertises itself and the rack's IPv6
 * prefix for address autoconfiguration: at once when the bridge comes up, a few more soon after, then at random
 * times; and it answers each solicitation, held back as RFC 4861 6.2.6 asks. Pure: time comes in, the deadline is asked
 * for.
 */
#ifndef FABRICD_LINK_ADVERTISER_H
#define FABRICD_LINK_ADVERTISER_H

#include "fabricd/lib/counters.h"
#include "fabricd/lib/mem.h"
#include "fabricd/lib/mono.h"
#include "fabricd/link/nd.h"

struct advertiser;

struct advertiser_config {
	struct prefix prefix; /* of the rack; len 0: none is advertised */
};

struct advertiser_ops {
	void (*send)(void *arg, const struct ip *dst, const uint8_t *bytes, size_t n);
	uint64_t (*random)(void *arg);
};

struct advertiser *advertiser_new(
    struct mem *, const struct advertiser_config *, const struct advertiser_ops *, void *arg);
void advertiser_free(struct advertiser *); /* NULL is allowed */

/* The bridge has carrier, with this MAC and MTU (0: not told to hosts); or it has none. */
void advertiser_up(struct advertiser *, const uint8_t mac[6], uint32_t mtu, struct mono now);
void advertiser_down(struct advertiser *);
/* A packet from the bridge; what is no sound solicitation is dropped. */
void advertiser_nd(struct advertiser *, const struct ip *src, const struct ip *dst, uint8_t hop_limit,
    const uint8_t *bytes, size_t n, struct mono now);

struct mono advertiser_deadline(const struct advertiser *);
void advertiser_timer(struct advertiser *, struct mono now);

struct advertiser_counters {
	uint64_t tx_ra, rx_rs;
	uint64_t nd_dropped[ND_VERDICTS];
	uint64_t not_up;        /* solicitations that came while the bridge was down */
	uint64_t other_routers; /* RAs of others on the bridge; nothing is done about them */
};
const struct advertiser_counters *advertiser_counters(const struct advertiser *);
/* The same with what each is called; they live as long as it. */
void advertiser_describe(const struct advertiser *, struct counters *out);

#endif
