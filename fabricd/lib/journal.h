/*
 * fabricd/lib/journal.h -- what happened on this switch, newest last, in bounded memory
 *
 * Each event has an id and may name the id of its cause. Events of one type and port are limited in rate; how many
 * were held back is told with the next one that passes.
 */
#ifndef FABRICD_LIB_JOURNAL_H
#define FABRICD_LIB_JOURNAL_H

#include "fabricd/lib/base.h"
#include "fabricd/lib/mem.h"
#include "fabricd/lib/mono.h"

#define JOURNAL_EVENTS 1024
#define JOURNAL_RATE   10 /* events of one type and port that pass in JOURNAL_WINDOW */
#define JOURNAL_WINDOW SECONDS(60)
#define JOURNAL_TYPE   32 /* room for the name of a type, with the NUL */

struct journal_event {
	uint64_t id, cause; /* cause 0: none known */
	struct mono at;
	int64_t wall_us;
	uint32_t suppressed; /* of the same type and port, just before this one */
	const char *type;    /* "LINK_DOWN": a string constant, or the journal's own */
	char port[32];       /* "" for the switch as a whole */
	char text[216];
};

struct journal;

/* tell is called with each event that passes; NULL: nobody listens. */
typedef void journal_fn(void *arg, const struct journal_event *);
struct journal *journal_new(struct mem *, journal_fn *tell, void *arg);
void journal_free(struct journal *);

/*
 * An event of a journal before this one, which goes on where that ended: the first sets where, each other has the next
 * id. Before any journal_add(). It is copied, type and all, and nobody is told. False: it does not fit.
 */
bool journal_restore(struct journal *, const struct journal_event *);
/* Returns the event's id, 0 when it was held back. Text is made printable. */
uint64_t journal_add(struct journal *, struct mono now, int64_t wall_us, const char *type, const char *port,
    uint64_t cause, const char *fmt, ...) PRINTF_LIKE(7, 8);
/* The oldest event with an id of at least `id`, NULL when there is none: ids grow by one. */
const struct journal_event *journal_from(const struct journal *, uint64_t id);
uint64_t journal_last(const struct journal *); /* id of the newest, 0: none */

#endif
