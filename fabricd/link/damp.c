/* fabricd/link/damp.c -- see damp.h */
#include "fabricd/link/damp.h"

#include "fabricd/lib/base.h"

#define CEILING 4  /* times `suppress` */
#define REUSE   2  /* a part of `suppress` */
#define CALM    12 /* half-lives without a flap, and the longest time that it is kept out */

/* v * 2^(-us / half_life), by halving and, for the rest of a half-life, by 2^(-1/2), 2^(-1/4), ... */
static uint64_t
decay(uint64_t v, int64_t us, int64_t half_life_us)
{
	static const uint32_t roots[] = { 46341, 55109, 60097, 62757, 64132, 64830, 65182, 65359, 65447, 65492 };
	int64_t whole = us / half_life_us, part = half_life_us, rest = us % half_life_us;

	if (us <= 0)
		return v;
	if (whole >= 63)
		return 0;
	v = (v << 16) >> whole; /* 16 bits behind the point */
	for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
		part /= 2;
		if (rest < part || part == 0)
			continue;
		rest -= part;
		v = (v >> 16) * roots[i] + ((v & 0xffff) * roots[i] >> 16);
	}
	return v >> 16;
}

uint64_t
damp_penalty(const struct damp *d, const struct damp_config *cfg, struct mono now)
{
	return decay(d->penalty, mono_sub(now, d->at), cfg->half_life_us);
}

static uint64_t
reuse(const struct damp_config *cfg)
{
	return (uint64_t)cfg->suppress * DAMP_FLAP / REUSE;
}

/* The least time after the last flap, from the second time in a row on. */
static int64_t
least(const struct damp *d, const struct damp_config *cfg)
{
	int64_t lives = 1;

	for (uint32_t i = 1; i < d->row && lives < CALM; i++)
		lives *= 2;
	return d->row > 1 ? MIN_OF(lives, CALM) * cfg->half_life_us : 0;
}

bool
damp_flap(struct damp *d, const struct damp_config *cfg, struct mono now)
{
	uint64_t limit = (uint64_t)cfg->suppress * DAMP_FLAP;

	if (!d->suppressed && mono_sub(now, d->at) > CALM * cfg->half_life_us &&
	    mono_sub(now, d->released) > CALM * cfg->half_life_us)
		d->row = 0;
	d->penalty = MIN_OF(damp_penalty(d, cfg, now) + DAMP_FLAP, CEILING * limit);
	d->at = now;
	d->flaps++;
	if (d->suppressed || (d->penalty < limit && d->row < 2))
		return false;
	d->suppressed = true;
	d->times++;
	d->row++;
	return true;
}

void
damp_forgive(struct damp *d)
{
	d->suppressed = false;
	d->row--;
}

bool
damp_look(struct damp *d, const struct damp_config *cfg, struct mono now)
{
	if (!d->suppressed || damp_penalty(d, cfg, now) > reuse(cfg) || mono_sub(now, d->at) < least(d, cfg))
		return false;
	d->suppressed = false;
	d->released = now;
	return true;
}

void
damp_sane(struct damp *d, const struct damp_config *cfg, struct mono now)
{
	struct mono epoch = { 0 };

	d->penalty = MIN_OF(d->penalty, (uint64_t)CEILING * cfg->suppress * DAMP_FLAP);
	if (d->at.us < epoch.us || d->at.us > now.us)
		d->at = now;
	if (d->released.us < epoch.us || d->released.us > now.us)
		d->released = now;
	if (d->suppressed && d->row == 0)
		d->row = 1;
}

struct mono
damp_release(const struct damp *d, const struct damp_config *cfg)
{
	int64_t lo = 0, hi = 4 * cfg->half_life_us; /* CEILING / (1 / REUSE) is three of them */

	if (!d->suppressed)
		return MONO_NEVER;
	while (lo < hi) { /* the first time at which it is small enough */
		int64_t mid = lo + (hi - lo) / 2;

		if (decay(d->penalty, mid, cfg->half_life_us) <= reuse(cfg))
			hi = mid;
		else
			lo = mid + 1;
	}
	return mono_add(d->at, MAX_OF(lo, least(d, cfg)));
}
