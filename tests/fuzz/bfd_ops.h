/* tests/fuzz/bfd_ops.h -- the owner of a BFD engine under any bytes: what it is told holds, randomness counts up from *arg */
#ifndef TESTS_FUZZ_BFD_OPS_H
#define TESTS_FUZZ_BFD_OPS_H

#include "bfd/engine.h"
#include "bfd/packet.h"
#include "fabricd/lib/base.h"
#include "tests/fuzz/fuzz.h"

static inline void
on_send(void *arg UNUSED, struct bfd_session *s UNUSED, const uint8_t *bytes, size_t n, bool echo)
{
	struct bfd_packet p;

	must(echo || (n <= BFD_PACKET_MAX && bfd_packet_parse(bytes, n, &p) == BFD_TAKEN), "what is sent is a packet");
}

static inline void
on_changed(void *arg UNUSED, struct bfd_session *s)
{
	must(bfd_session_state(s) < BFD_STATES, "a state");
}

static inline uint64_t
on_random(void *arg)
{
	return ++*(uint64_t *)arg;
}

#endif
