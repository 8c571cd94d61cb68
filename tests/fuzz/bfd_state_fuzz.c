/*
 * bfdd's store: the image that a process left behind, and a record of it, both as whatever bytes there may be
 *
 * The first byte says which. What is taken goes to an engine, which runs for a while and hears a packet; what never may
 * happen: a read beyond the bytes, a session that the engine would not have made itself, or one that runs for ever.
 */
#include <stdlib.h>
#include <string.h>

#include "bfd/host/record.h"
#include "tests/fuzz/bfd_ops.h"

static const struct bfd_engine_ops ops = { .send = on_send, .changed = on_changed, .random = on_random };

static void
on_session(void *arg, uint32_t number, const struct bfd_record *rec)
{
	struct bfd_engine *e = arg;
	struct mono now = { SECONDS(1000) };
	uint8_t slot[BFD_SLOT_BYTES] = { 0 };
	struct bfd_session *s;
	struct bfd_saved saved;

	bfd_image_put(slot, number, rec);
	must(slot[7] == 1, "what was read can be written, and then it is whole");
	if (bfd_session_restore(e, &rec->path, &rec->params, &rec->saved, now, &s))
		return;
	bfd_session_save(s, &saved);
	must(
	    saved.local_discr == rec->saved.local_discr && saved.state == rec->saved.state, "restored as it was saved");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t random = 1;
	struct bfd_engine *e = bfd_engine_new(NULL, 3, &ops, &random);
	struct mono now = { SECONDS(1000) };
	struct bfd_image_found found;
	struct bfd_image_header header;
	struct bfd_image_id id = { 1, 2 };
	struct bfd_record rec;

	if (n && data[0] & 1) {
		if (bfd_record_decode(rd_make(data + 1, n - 1), &rec))
			on_session(e, 0, &rec);
	} else if (n) {
		bfd_image_header(data + 1, n - 1, &id, &header);
		bfd_image_read(data + 1, n - 1, on_session, e, &found);
	}
	for (int i = 0; i < 50; i++) {
		bfd_engine_run(e, now);
		must(bfd_engine_next(e).us > now.us, "it does not run for ever");
		now = mono_add(now, MS(40));
	}
	bfd_engine_free(e);
	return 0;
}
