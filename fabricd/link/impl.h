/* fabricd/link/impl.h -- what the files of a port share: port.c (state, sending), neighbor.c (ND), lldp_port.c (LLDP)
 */
#ifndef FABRICD_LINK_IMPL_H
#define FABRICD_LINK_IMPL_H

#include "fabricd/lib/base.h"
#include "fabricd/link/port.h"

enum link_alarm { ALARM_SECOND_ROUTER, ALARM_LOOP, ALARM_DUPLICATE, ALARM_CABLING, ALARM_MTU, ALARMS };

struct link_lldp_entry {
	struct lldp_info info;
	struct mono heard, expires;
};

struct link_port {
	struct mem *mem;
	char name[32];
	struct link_config cfg;
	struct link_pace *pace;
	const struct link_ops *ops;
	void *arg;

	struct lldp_fabric me;
	char description[LLDP_TEXT];
	char want_fabric[64], want_node[64], want_port[64];

	struct link_status status;
	enum link_state state;
	struct mono since;
	struct mono was_since; /* of the state `was`, in the fabricd before this one; zero: nothing is known */
	enum link_state was;

	/* Refused: our own address was seen. At probe_at we ask again; if nothing comes back until clear_at, it is
	 * over. */
	enum link_state refused; /* LINK_LOOPED or LINK_DUPLICATE; LINK_UP: not */
	struct mono probe_at, clear_at;

	struct mono burst_at; /* RS, RA and LLDP after carrier up, when they could not go at once */
	struct mono ra_at;
	struct mono rs_at; /* the next RS, while nobody is chosen */
	int64_t rs_wait;
	unsigned int ra_initial; /* how many of the initial RAs are still to come */
	struct mono last_ra;     /* multicast */

	/* Answers to solicitations and first RAs: a token bucket. */
	unsigned int tokens;
	struct mono tokens_at;

	struct link_neighbor neighbors[LINK_NEIGHBORS];
	struct mono answer_at[LINK_NEIGHBORS];
	size_t nneighbors;
	bool has_chosen;
	struct ip chosen;
	struct mono challenge_at; /* then the chosen one must have been heard since challenge_from */
	struct mono challenge_from;

	struct mono lldp_at;
	unsigned int lldp_fast;
	struct link_lldp_entry *lldp[LINK_LLDP];
	size_t nlldp;
	bool told_cabling, told_mtu;

	struct mono alarmed[ALARMS];
	struct link_counters counters;
};

/* port.c */
void link_alarm(struct link_port *, enum link_alarm, struct mono now, const char *fmt, ...) PRINTF_LIKE(4, 5);
uint64_t link_random(struct link_port *, uint64_t below); /* 0 .. below - 1 */
struct mono link_pace_take(struct link_pace *, unsigned int packets, struct mono now);
void link_send_ra(struct link_port *, const struct ip *dst, struct mono now);
void link_send_rs(struct link_port *);
void link_refuse(struct link_port *, enum link_state, struct mono now);
/* Carrier is there and the port is up: LLDP works, ND may not. */
static inline bool
link_lit(const struct link_port *p)
{
	return p->status.present && p->status.admin_up && p->status.carrier;
}

/* neighbor.c */
void link_neighbors_clear(struct link_port *);
void link_neighbors_timer(struct link_port *, struct mono now);
struct mono link_neighbors_deadline(const struct link_port *);

/* lldp_port.c */
void link_lldp_start(struct link_port *, struct mono now); /* a fast start, after carrier up or a change of ours */
void link_lldp_clear(struct link_port *);
void link_lldp_timer(struct link_port *, struct mono now);
struct mono link_lldp_deadline(const struct link_port *);
const struct lldp_info *link_lldp_best(const struct link_port *);
enum link_match link_lldp_match(const struct link_port *, char *text, size_t room);
bool link_lldp_mtu_differs(const struct link_port *);
void link_lldp_judge(struct link_port *, struct mono now); /* alarms about cabling and MTU */

#endif
