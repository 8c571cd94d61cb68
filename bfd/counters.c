/* bfd/counters.c -- what is told of the counters of the engine and of a session, and what the rules are called */
#include "bfd/impl.h"

#define COUNTS(member)         offsetof(struct bfd_engine_stats, member)
#define DROPPED(rule)          ((rule)-1)
#define DROP(rule, name, what) [DROPPED(rule)] = { name, what, COUNTS(dropped[rule]), false }

/* First the rules, in their order: RFC 5880 6.8.6, then RFC 5881 5 and 5883 5. */
static const struct counter engine_list[] = {
	DROP(BFD_DROP_SHORT, "short", "packet dropped: shorter than its header"),
	DROP(BFD_DROP_VERSION, "version", "packet dropped: its version is not 1"),
	DROP(BFD_DROP_LENGTH_SMALL, "length-small", "packet dropped: Length is less than the least"),
	DROP(BFD_DROP_LENGTH_LARGE, "length-large", "packet dropped: Length is more than what came"),
	DROP(BFD_DROP_MULTIPLIER, "multiplier", "packet dropped: Detect Mult is 0"),
	DROP(BFD_DROP_MULTIPOINT, "multipoint", "packet dropped: Multipoint is set"),
	DROP(BFD_DROP_MY_DISCR, "my-discriminator", "packet dropped: My Discriminator is 0"),
	DROP(BFD_DROP_YOUR_DISCR, "your-discriminator", "packet dropped: Your Discriminator is that of no session"),
	DROP(BFD_DROP_STATE, "state",
	    "packet dropped: Your Discriminator is 0, in another state than Down or AdminDown"),
	DROP(BFD_DROP_NO_SESSION, "no-session", "packet dropped: nobody watches its sender on that port"),
	DROP(BFD_DROP_AUTH_UNEXPECTED, "auth-unexpected", "packet dropped: authenticated, in a session that is not"),
	DROP(BFD_DROP_AUTH_MISSING, "auth-missing", "packet dropped: not authenticated, in a session that is"),
	DROP(BFD_DROP_AUTH_TYPE, "auth-type", "packet dropped: another authentication type or length"),
	DROP(BFD_DROP_AUTH_KEY_ID, "auth-key-id", "packet dropped: its key is not known here"),
	DROP(BFD_DROP_AUTH_SEQUENCE, "auth-sequence",
	    "packet dropped: its sequence number is out of range, or was used"),
	DROP(BFD_DROP_AUTH_DIGEST, "auth-digest", "packet dropped: wrong digest"),
	DROP(BFD_DROP_ADMIN_DOWN, "admin-down", "packet dropped: its session is AdminDown here"),
	DROP(BFD_DROP_HOP_LIMIT, "hop-limit",
	    "packet dropped: hop limit is too small, it may have come through a router"),
	DROP(BFD_DROP_PORT, "port", "packet dropped: its session is on another port"),
	DROP(BFD_DROP_ADDRESS, "address",
	    "packet dropped: its addresses are not those of its session, or a stranger's are not of the port's "
	    "subnets"),
	DROP(BFD_DROP_ECHO, "echo", "echo packet dropped: not ours, too late, or no echo is spoken there"),
	[DROPPED(BFD_DROPS)] = { "packets-received", "packets received and taken", COUNTS(rx), true },
	{ "packets-sent", "packets sent", COUNTS(tx), true },
	{ "stalls", "times that bfdd was woken more than 1 ms late", COUNTS(stalls), true },
	{ "longest-stall", "most by which it was woken late so far, in microseconds", COUNTS(stall_max), true },
};
/* All of them, but for the place of what was taken. */
_Static_assert(ARRAY_LEN(engine_list) + 1 == COUNTS(run_late) / sizeof(uint64_t), "a counter is not told");

const char *
bfd_drop_name(enum bfd_drop d)
{
	if (d == BFD_TAKEN)
		return "taken";
	return (unsigned int)d < BFD_DROPS ? engine_list[DROPPED(d)].name : "?";
}

void
bfd_engine_counters(const struct bfd_engine *e, struct counters *out)
{
	*out = (struct counters){ .list = engine_list, .n = ARRAY_LEN(engine_list), .of = &e->stats };
}

#define OF_SESSION(member) offsetof(struct bfd_view, member)

static const struct counter session_list[] = {
	{ "dropped", "packets of this session or with its addresses dropped, by any rule", OF_SESSION(dropped), false },
	{ "missed", "packets of the neighbour that were due and did not come", OF_SESSION(missed), false },
	{ "flaps", "falls from Up", OF_SESSION(flaps), false },
	{ "polls-unanswered", "polls not answered: more than the neighbour may send", OF_SESSION(polls_unanswered),
	    false },
	{ "spared", "verdicts not given: it was bfdd that was late", OF_SESSION(spared), false },
	{ "packets-received", "packets received and taken", OF_SESSION(rx), true },
	{ "packets-sent", "packets sent", OF_SESSION(tx), true },
	{ "echo-received", "echo packets that came back", OF_SESSION(echo_rx), true },
	{ "echo-sent", "echo packets sent", OF_SESSION(echo_tx), true },
};

void
bfd_view_counters(const struct bfd_view *v, struct counters *out)
{
	*out = (struct counters){ .list = session_list, .n = ARRAY_LEN(session_list), .of = v };
}
