/* tests/unit/bgp/fsm_test.c -- the table of RFC 4271 8.2.2: rules that hold over all of it, and single steps */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "fabricd/bgp/fsm.h"
#include "fabricd/bgp/message.h"
#include "fabricd/lib/base.h"

static const struct {
	enum bgp_state from;
	enum bgp_event event;
	enum bgp_state to;
	unsigned int must, must_not; /* actions */
} steps[] = {
	{ BGP_IDLE, BGP_EV_START, BGP_CONNECT, BGP_DO_DIAL | BGP_DO_ARM_RETRY, BGP_DO_CLOSE },
	{ BGP_IDLE, BGP_EV_START_PASSIVE, BGP_ACTIVE, 0, BGP_DO_DIAL },
	{ BGP_CONNECT, BGP_EV_TCP_UP, BGP_OPEN_SENT, BGP_DO_SEND_OPEN | BGP_DO_ARM_LARGE_HOLD | BGP_DO_STOP_RETRY, 0 },
	{ BGP_CONNECT, BGP_EV_TCP_FAILS, BGP_ACTIVE, BGP_DO_CLOSE | BGP_DO_ARM_RETRY, BGP_DO_NOTIFY },
	{ BGP_CONNECT, BGP_EV_RETRY_EXPIRES, BGP_CONNECT, BGP_DO_CLOSE | BGP_DO_DIAL, 0 },
	{ BGP_ACTIVE, BGP_EV_RETRY_EXPIRES, BGP_CONNECT, BGP_DO_DIAL | BGP_DO_ARM_RETRY, 0 },
	{ BGP_OPEN_SENT, BGP_EV_OPEN, BGP_OPEN_CONFIRM, BGP_DO_SEND_KEEPALIVE | BGP_DO_ARM_HOLD | BGP_DO_ARM_KEEPALIVE,
	    0 },
	{ BGP_OPEN_SENT, BGP_EV_TCP_FAILS, BGP_ACTIVE, BGP_DO_CLOSE | BGP_DO_ARM_RETRY, BGP_DO_IDLE_HOLD },
	{ BGP_OPEN_CONFIRM, BGP_EV_KEEPALIVE, BGP_ESTABLISHED, BGP_DO_UP | BGP_DO_ARM_HOLD, 0 },
	{ BGP_ESTABLISHED, BGP_EV_UPDATE, BGP_ESTABLISHED, BGP_DO_DELIVER | BGP_DO_ARM_HOLD, BGP_DO_CLOSE },
	{ BGP_ESTABLISHED, BGP_EV_KEEPALIVE, BGP_ESTABLISHED, BGP_DO_ARM_HOLD, BGP_DO_CLOSE },
	{ BGP_ESTABLISHED, BGP_EV_KEEPALIVE_EXPIRES, BGP_ESTABLISHED, BGP_DO_SEND_KEEPALIVE | BGP_DO_ARM_KEEPALIVE, 0 },
	{ BGP_ESTABLISHED, BGP_EV_HOLD_EXPIRES, BGP_IDLE, BGP_DO_NOTIFY | BGP_DO_CLOSE | BGP_DO_DOWN, 0 },
	{ BGP_ESTABLISHED, BGP_EV_NOTICE, BGP_IDLE, BGP_DO_CLOSE | BGP_DO_DOWN, BGP_DO_NOTIFY },
	{ BGP_ESTABLISHED, BGP_EV_SEND_HOLD_EXPIRES, BGP_IDLE, BGP_DO_NOTIFY | BGP_DO_CLOSE | BGP_DO_DOWN, 0 },
};

static void
single_steps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		const struct bgp_step *s = bgp_fsm_step(steps[i].from, steps[i].event);
		enum bgp_state to = s->moves ? (enum bgp_state)s->to : steps[i].from;

		if (to != steps[i].to || (s->actions & steps[i].must) != steps[i].must ||
		    (s->actions & steps[i].must_not))
			fail_msg("%s in %s: to %s, actions %x", bgp_event_name(steps[i].event),
			    bgp_state_name(steps[i].from), bgp_state_name(to), s->actions);
	}
}

/* What the RFC says of all states at once. */
static void
rules_over_the_table(void **state)
{
	(void)state;
	for (int st = 0; st < BGP_STATES; st++) {
		for (int ev = 0; ev < BGP_EVENTS; ev++) {
			const struct bgp_step *s = bgp_fsm_step((enum bgp_state)st, (enum bgp_event)ev);
			bool leaves = s->moves && s->to != st;
			const char *name = bgp_event_name((enum bgp_event)ev);

			if (st == BGP_IDLE && ev != BGP_EV_START && ev != BGP_EV_START_PASSIVE &&
			    (s->moves || s->actions))
				fail_msg("Idle answers to %s", name);
			if ((st == BGP_ESTABLISHED && leaves) != !!(s->actions & BGP_DO_DOWN))
				fail_msg("%s in %s: routes", name, bgp_state_name((enum bgp_state)st));
			if ((s->actions & BGP_DO_NOTIFY) && (st < BGP_OPEN_SENT || !(s->actions & BGP_DO_CLOSE)))
				fail_msg("%s in %s: NOTIFICATION", name, bgp_state_name((enum bgp_state)st));
			if (st >= BGP_OPEN_SENT && leaves && s->to <= BGP_ACTIVE && !(s->actions & BGP_DO_CLOSE))
				fail_msg(
				    "%s in %s: the connection stays open", name, bgp_state_name((enum bgp_state)st));
			if ((s->actions & BGP_DO_UP) && s->to != BGP_ESTABLISHED)
				fail_msg("%s: up, and not Established", name);
			if (s->moves && s->to == BGP_ESTABLISHED && !(s->actions & BGP_DO_UP))
				fail_msg("%s: Established, and not up", name);
			if (s->code == BGP_ERR_FSM && s->subcode != st - BGP_OPEN_SENT + 1) /* RFC 6608 3 */
				fail_msg("%s in %s: subcode %u", name, bgp_state_name((enum bgp_state)st), s->subcode);
			if (ev == BGP_EV_STOP && st != BGP_IDLE && (!s->moves || s->to != BGP_IDLE))
				fail_msg("%s does not stop", bgp_state_name((enum bgp_state)st));
		}
	}
}

/* Every state can be reached from Idle, and Idle from every state. */
static void
states_are_connected(void **state)
{
	bool reach[BGP_STATES][BGP_STATES] = { { false } };

	(void)state;
	for (int st = 0; st < BGP_STATES; st++)
		for (int ev = 0; ev < BGP_EVENTS; ev++)
			if (bgp_fsm_step((enum bgp_state)st, (enum bgp_event)ev)->moves)
				reach[st][bgp_fsm_step((enum bgp_state)st, (enum bgp_event)ev)->to] = true;
	for (int k = 0; k < BGP_STATES; k++)
		for (int i = 0; i < BGP_STATES; i++)
			for (int j = 0; j < BGP_STATES; j++)
				reach[i][j] |= reach[i][k] && reach[k][j];
	for (int st = 0; st < BGP_STATES; st++)
		assert_true(reach[BGP_IDLE][st] && reach[st][BGP_IDLE]);
}

static void
names(void **state)
{
	const struct bgp_step *none = bgp_fsm_step((enum bgp_state)99, BGP_EV_START);

	(void)state;
	for (int st = 0; st < BGP_STATES; st++)
		assert_true(strlen(bgp_state_name((enum bgp_state)st)) > 3);
	for (int ev = 0; ev < BGP_EVENTS; ev++)
		assert_non_null(bgp_event_name((enum bgp_event)ev));
	assert_false(none->moves);
	assert_int_equal(none->actions, 0);
	assert_string_equal(bgp_state_name((enum bgp_state)99), "?");
}

/*
 * The whole table once more, written down from RFC 4271 8.2.2, RFC 6608 and RFC 9687, not from the code; but for a
 * connection that fails in OpenConfirm, where the next attempt waits for the retry timer as in OpenSent. A letter an
 * action: N a NOTIFICATION, D routes go, C close, T dial, R arm the retry timer, r stop it, O send OPEN, L the large
 * hold time, K send KEEPALIVE, H arm the hold timer, A arm the keepalive timer, U up, M hand the message on, I idle
 * hold. "": the event is ignored. The code and subcode are the step's own; 0: the event brings them.
 */
static const char letters[] = "NDCTRrOLKHAUMI";

static const struct cell {
	enum bgp_event event;
	const char *to; /* the state's name; NULL: it stays */
	const char *actions;
	uint8_t code, subcode;
} idle[] = {
	{ BGP_EV_START, "Connect", "TR", 0, 0 },
	{ BGP_EV_START_PASSIVE, "Active", "", 0, 0 },
	{ BGP_EVENTS, NULL, NULL, 0, 0 },
}, connect_[] = {
	{ BGP_EV_STOP, "Idle", "Cr", 0, 0 },
	{ BGP_EV_RETRY_EXPIRES, "Connect", "CTR", 0, 0 },
	{ BGP_EV_TCP_UP, "OpenSent", "rOL", 0, 0 },
	{ BGP_EV_TCP_FAILS, "Active", "CR", 0, 0 },
	{ BGP_EV_COLLISION, "Idle", "Cr", 0, 0 },
	{ BGP_EVENTS, NULL, NULL, 0, 0 },
}, active[] = {
	{ BGP_EV_STOP, "Idle", "r", 0, 0 },
	{ BGP_EV_RETRY_EXPIRES, "Connect", "TR", 0, 0 },
	{ BGP_EV_TCP_UP, "OpenSent", "rOL", 0, 0 },
	{ BGP_EV_COLLISION, "Idle", "r", 0, 0 },
	{ BGP_EVENTS, NULL, NULL, 0, 0 },
}, open_sent[] = {
	{ BGP_EV_STOP, "Idle", "NC", 6, 2 },
	{ BGP_EV_HOLD_EXPIRES, "Idle", "NCI", 4, 0 },
	{ BGP_EV_TCP_FAILS, "Active", "CR", 0, 0 },
	{ BGP_EV_OPEN, "OpenConfirm", "KHA", 0, 0 },
	{ BGP_EV_HEADER_ERROR, "Idle", "NCI", 0, 0 },
	{ BGP_EV_OPEN_ERROR, "Idle", "NCI", 0, 0 },
	{ BGP_EV_COLLISION, "Idle", "NC", 6, 7 },
	{ BGP_EV_NOTICE_VERSION, "Idle", "CI", 0, 0 },
	{ BGP_EV_NOTICE, "Idle", "CI", 0, 0 },
	{ BGP_EV_KEEPALIVE, "Idle", "NCI", 5, 1 },
	{ BGP_EV_UPDATE, "Idle", "NCI", 5, 1 },
	{ BGP_EV_UPDATE_ERROR, "Idle", "NCI", 5, 1 },
	{ BGP_EV_REFRESH, "Idle", "NCI", 5, 1 },
	{ BGP_EVENTS, NULL, NULL, 0, 0 },
}, open_confirm[] = {
	{ BGP_EV_STOP, "Idle", "NC", 6, 2 },
	{ BGP_EV_HOLD_EXPIRES, "Idle", "NCI", 4, 0 },
	{ BGP_EV_KEEPALIVE_EXPIRES, NULL, "KA", 0, 0 },
	{ BGP_EV_TCP_FAILS, "Active", "CR", 0, 0 },
	{ BGP_EV_OPEN, "Idle", "NCI", 5, 2 },
	{ BGP_EV_HEADER_ERROR, "Idle", "NCI", 0, 0 },
	{ BGP_EV_OPEN_ERROR, "Idle", "NCI", 0, 0 },
	{ BGP_EV_COLLISION, "Idle", "NC", 6, 7 },
	{ BGP_EV_NOTICE_VERSION, "Idle", "CI", 0, 0 },
	{ BGP_EV_NOTICE, "Idle", "CI", 0, 0 },
	{ BGP_EV_KEEPALIVE, "Established", "HU", 0, 0 },
	{ BGP_EV_UPDATE, "Idle", "NCI", 5, 2 },
	{ BGP_EV_UPDATE_ERROR, "Idle", "NCI", 5, 2 },
	{ BGP_EV_REFRESH, "Idle", "NCI", 5, 2 },
	{ BGP_EVENTS, NULL, NULL, 0, 0 },
}, established[] = {
	{ BGP_EV_STOP, "Idle", "NDC", 6, 2 },
	{ BGP_EV_HOLD_EXPIRES, "Idle", "NDC", 4, 0 },
	{ BGP_EV_KEEPALIVE_EXPIRES, NULL, "KA", 0, 0 },
	{ BGP_EV_SEND_HOLD_EXPIRES, "Idle", "NDCI", 8, 0 },
	{ BGP_EV_TCP_FAILS, "Idle", "DC", 0, 0 },
	{ BGP_EV_OPEN, "Idle", "NDCI", 5, 3 },
	{ BGP_EV_HEADER_ERROR, "Idle", "NDCI", 0, 0 },
	{ BGP_EV_OPEN_ERROR, "Idle", "NDCI", 5, 3 },
	{ BGP_EV_NOTICE_VERSION, "Idle", "DCI", 0, 0 },
	{ BGP_EV_NOTICE, "Idle", "DCI", 0, 0 },
	{ BGP_EV_KEEPALIVE, NULL, "H", 0, 0 },
	{ BGP_EV_UPDATE, NULL, "HM", 0, 0 },
	{ BGP_EV_UPDATE_ERROR, "Idle", "NDCI", 0, 0 },
	{ BGP_EV_REFRESH, NULL, "HM", 0, 0 },
	{ BGP_EVENTS, NULL, NULL, 0, 0 },
};

static const struct cell *const table[BGP_STATES] = { idle, connect_, active, open_sent, open_confirm, established };

static unsigned int
actions_of(const char *text)
{
	unsigned int actions = 0;

	for (; *text; text++)
		actions |= 1u << (strchr(letters, *text) - letters);
	return actions;
}

static void
each_cell_is_the_rfcs(void **state)
{
	(void)state;
	for (int st = 0; st < BGP_STATES; st++)
		for (int ev = 0; ev < BGP_EVENTS; ev++) {
			const struct bgp_step *s = bgp_fsm_step((enum bgp_state)st, (enum bgp_event)ev);
			const struct cell *c = table[st];

			while (c->event != BGP_EVENTS && (int)c->event != ev)
				c++;
			if (s->moves != (c->to != NULL) ||
			    (c->to && strcmp(bgp_state_name((enum bgp_state)s->to), c->to) != 0) ||
			    s->actions != actions_of(c->actions ? c->actions : "") || s->code != c->code ||
			    s->subcode != c->subcode)
				fail_msg("%s in %s: moves %d to %d, actions %x, code %u/%u",
				    bgp_event_name((enum bgp_event)ev), bgp_state_name((enum bgp_state)st), s->moves,
				    s->to, s->actions, s->code, s->subcode);
		}
}

/* What is no state or no event asks for nothing; nor is the row or the column behind the last one looked at. */
static void
what_is_no_state_or_event_does_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct bgp_step *a = bgp_fsm_step((enum bgp_state)(BGP_STATES + i), BGP_EV_START);
		const struct bgp_step *b = bgp_fsm_step(BGP_IDLE, (enum bgp_event)(BGP_EVENTS + i));

		assert_false(a->moves || a->actions || b->moves || b->actions);
		assert_string_equal(bgp_state_name((enum bgp_state)(BGP_STATES + i)), "?");
		assert_string_equal(bgp_event_name((enum bgp_event)(BGP_EVENTS + i)), "?");
	}
	assert_ptr_equal(bgp_fsm_step(BGP_IDLE, BGP_EVENTS), bgp_fsm_step(BGP_STATES, BGP_EV_START));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_steps),
		cmocka_unit_test(each_cell_is_the_rfcs),
		cmocka_unit_test(what_is_no_state_or_event_does_nothing),
		cmocka_unit_test(rules_over_the_table),
		cmocka_unit_test(states_are_connected),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
