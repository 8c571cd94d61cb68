/*
 * fabricd/bgp/restart.c -- graceful restart: whether the peer's paths are kept when its session ends, and for how long
 *
 *   session ends -> graceful? -> owner: keep() -> stale, restart timer -> the peer is back -> F bits -> time for
 *                                                                                            End-of-RIB -> over
 *        any of: not back in time, F bit clear, another router, link or BFD down, hard reset -> over
 *
 * This is the receiving speaker of RFC 4724 4.2 with RFC 8538. What the restarting speaker does beside its OPEN (to
 * select late, to send End-of-RIB late) is its owner's. All families end together, but for those that End-of-RIB or a
 * clear F bit ends alone.
 *
 * There are speakers that send End-of-RIB first and their routes a moment later (FRR 8.4 and newer after its restart). To
 * believe them would cut off for that moment what they are about to tell: an End-of-RIB before any route of its family
 * counts a second later. That is the one place where this is not RFC 4724's letter ("immediately").
 *
 * Long-lived (RFC 9494), where it is configured and the peer asks for it: when the restart time is over, what is stale becomes
 * the last resort (the owner marks it LLGR_STALE) for as long as the peer's long-lived stale time says, at most our own.
 * Families with different times end with the first of them.
 *
 * Always true: a timer runs while something is stale; nothing is stale longer than twice the peer's restart time, and the
 * long-lived time between. Paths of a peer whose link or BFD session went down are never kept.
 */
#include <stdio.h>

#include "fabricd/bgp/peer.h"
#include "fabricd/lib/base.h"

#define EARLY_US SECONDS(1)
#define AGAIN_US MS(5) /* the owner could not mark what is long-lived */

const char *
bgp_stale_end_name(enum bgp_stale_end e)
{
	static const char *const names[BGP_STALE_ENDS] = {
		[BGP_STALE_NEVER] = "never",
		[BGP_STALE_TOLD] = "end_of_rib",
		[BGP_STALE_RESTART] = "restart_time",
		[BGP_STALE_SILENT] = "no_end_of_rib",
		[BGP_STALE_FORGOT] = "forwarding_not_preserved",
		[BGP_STALE_STRANGER] = "another_router",
		[BGP_STALE_LINK] = "link_down",
		[BGP_STALE_BFD] = "bfd_down",
		[BGP_STALE_HARD] = "reset",
		[BGP_STALE_STOPPED] = "stopped",
		[BGP_STALE_LONG] = "long_lived_stale_time",
	};

	return (size_t)e < BGP_STALE_ENDS ? names[e] : "?";
}

bool
restart_agreed(const struct bgp_peer *p)
{
	return p->facts.valid && (p->facts.caps & BGP_CAP_GRACEFUL_RESTART);
}

bool
restart_notified(const struct bgp_peer *p)
{
	return restart_agreed(p) && (p->facts.local.gr_flags & p->facts.remote.gr_flags & BGP_KEEPS_NOTIFIED);
}

struct bgp_notice
restart_hard(const struct bgp_peer *p, const struct bgp_notice *n)
{
	return restart_notified(p) ? bgp_notice_hard_reset(n) : *n;
}

/* Whether the end with this reason leaves the peer's forwarding plane in doubt no more than a restart does. */
static bool
is_graceful(const struct bgp_peer *p)
{
	const struct bgp_reason *r = &p->reason;

	switch (r->cause) {
	case BGP_CAUSE_TCP: /* RFC 4724 4.2 */
		return true;
	case BGP_CAUSE_NOTICE: /* RFC 8538 4, for what was received, sent, or the hold timer's */
	case BGP_CAUSE_HOLD:
	case BGP_CAUSE_BAD_MESSAGE:
	case BGP_CAUSE_RESET:
		return restart_notified(p) && !(r->code == BGP_ERR_CEASE && r->subcode == BGP_CEASE_HARD_RESET);
	default:
		return false;
	}
}

static void
stop_waiting(struct bgp_peer *p)
{
	p->restart.until = p->early_until = MONO_NEVER;
	p->restart.waits_rib = false;
	p->early = 0;
}

/* Of some families; the timer runs on while others are stale. */
static void
end(struct bgp_peer *p, uint8_t families, enum bgp_stale_end why, const char *text)
{
	struct bgp_restart *r = &p->restart;

	families &= r->stale;
	if (!families)
		return;
	r->stale &= (uint8_t)~families;
	r->long_lived &= r->stale;
	p->early &= r->stale;
	r->ended = why;
	r->ended_at = p->now;
	snprintf(r->text, sizeof(r->text), "%s", text);
	if (!r->stale) {
		stop_waiting(p);
		r->told += why == BGP_STALE_TOLD;
	}
	p->ops.stale_end(p, families, why, r->text, p->arg);
}

void
restart_abort(struct bgp_peer *p, enum bgp_stale_end why, const char *text)
{
	end(p, p->restart.stale, why, text);
}

static enum bgp_stale_end
end_of(enum bgp_cause c)
{
	return c == BGP_CAUSE_LINK_DOWN ? BGP_STALE_LINK
	       : c == BGP_CAUSE_BFD     ? BGP_STALE_BFD
	       : c == BGP_CAUSE_STOPPED ? BGP_STALE_STOPPED
					: BGP_STALE_HARD;
}

/* Of these families, those that may be kept beyond the restart time; *us: for how long. */
static uint8_t
long_lived(const struct bgp_peer *p, uint8_t families, int64_t *us)
{
	const struct bgp_open *peer = &p->facts.remote;
	uint8_t may = 0;

	*us = SECONDS(p->cfg.long_lived_s);
	if (!(p->facts.caps & BGP_CAP_LONG_LIVED_RESTART) || !p->ops.long_lived)
		return 0;
	for (int f = 0; f < FAMILIES; f++)
		if (peer->llgr_stale_s[f] && families & peer->llgr_families & 1 << f && *us) {
			may |= (uint8_t)(1u << f);
			*us = MIN_OF(*us, SECONDS(peer->llgr_stale_s[f]));
		}
	return may;
}

void
restart_session_ended(struct bgp_peer *p)
{
	const struct bgp_open *peer = &p->facts.remote;
	struct bgp_restart *r = &p->restart;
	uint8_t may = 0, was = r->stale;
	int64_t us;

	if (restart_agreed(p) && is_graceful(p))
		may = peer->gr_families & p->facts.families;
	if (!peer->gr_restart_s) /* RFC 9494 4.2: then the long-lived time begins at once */
		may = long_lived(p, may, &us);
	may = may && p->ops.keep ? p->ops.keep(p, &p->reason, may, p->arg) & may : 0;
	stop_waiting(p);
	r->stale = may;
	r->long_lived = 0;
	if (was & ~may) { /* the owner drops them with `down`, with all that is not kept */
		r->ended = end_of(p->reason.cause);
		r->ended_at = p->now;
		snprintf(r->text, sizeof(r->text), "%s", p->reason.text);
	}
	if (!may)
		return;
	r->begun++;
	r->since = p->now;
	r->until = mono_add(p->now, SECONDS(peer->gr_restart_s));
}

void
restart_session_up(struct bgp_peer *p)
{
	const struct bgp_open *peer = &p->facts.remote;
	struct bgp_restart *r = &p->restart;
	uint8_t listed, forwarding;

	if (!r->stale)
		return;
	if (!restart_agreed(p))
		restart_abort(p, BGP_STALE_FORGOT, "it came back without the graceful restart capability");
	listed = (uint8_t)((peer->gr_families & ~r->long_lived) | (peer->llgr_families & r->long_lived));
	forwarding = (uint8_t)((peer->gr_forwarding & ~r->long_lived) | (peer->llgr_forwarding & r->long_lived));
	end(p, (uint8_t) ~(listed & p->facts.families), BGP_STALE_FORGOT,
	    "it came back without the capability for the family");
	end(p, (uint8_t)~forwarding, BGP_STALE_FORGOT,
	    "it came back, and says that it has not preserved its forwarding state");
	if (!r->stale)
		return;
	r->waits_rib = true;
	for (int f = 0; f < FAMILIES; f++)
		p->told_before[f] = p->counters.prefixes_in[f];
	r->until = mono_add(p->now, SECONDS(MAX_OF(peer->gr_restart_s, 1)));
}

void
restart_end_of_rib(struct bgp_peer *p, uint8_t families)
{
	for (int f = 0; f < FAMILIES; f++)
		if (p->counters.prefixes_in[f] == p->told_before[f] && p->restart.stale & families & 1 << f) {
			p->early |= (uint8_t)(1u << f);
			p->early_until = mono_add(p->now, EARLY_US);
		}
	end(p, (uint8_t)(families & ~p->early), BGP_STALE_TOLD, "End-of-RIB");
	if (p->ops.end_of_rib)
		p->ops.end_of_rib(p, families, p->arg);
}

/* The restart time is over: what may not be kept for longer goes. False: nothing may. */
static bool
go_on(struct bgp_peer *p, const char *text)
{
	struct bgp_restart *r = &p->restart;
	int64_t us;
	uint8_t may = r->long_lived ? 0 : long_lived(p, r->stale, &us);

	if (!may)
		return false;
	end(p, (uint8_t)~may, BGP_STALE_RESTART, text);
	if (!p->ops.long_lived(p, may, p->arg)) {
		r->until = mono_add(p->now, AGAIN_US);
		return true;
	}
	r->long_lived = may;
	r->until = mono_add(p->now, us);
	return true;
}

void
restart_timer(struct bgp_peer *p)
{
	struct bgp_restart *r = &p->restart;
	char text[BGP_REASON_TEXT];
	long long s = (long long)(mono_sub(p->now, r->since) / SECONDS(1));

	if (mono_due(p->early_until, p->now)) {
		p->early_until = MONO_NEVER;
		end(p, p->early, BGP_STALE_TOLD, "End-of-RIB, a second ago");
	}
	if (!mono_due(r->until, p->now))
		return;
	if (r->waits_rib) {
		snprintf(text, sizeof(text), "it came back, but sent no End-of-RIB in %lld s", s);
		restart_abort(p, BGP_STALE_SILENT, text);
	} else {
		snprintf(text, sizeof(text), "it did not come back in %lld s", s);
		if (!go_on(p, text))
			restart_abort(p, r->long_lived ? BGP_STALE_LONG : BGP_STALE_RESTART, text);
	}
}
