/*
 * fabricd/upgrade/snapshot.h -- what one fabricd leaves to the next: sections of bytes under a version and a checksum
 *
 *   8  "fabricd" and NUL
 *   2  format, 2 zero, 4 number of sections
 *   8  length of all
 *   8  checksum (keyed hash, key 0) of all behind it
 *   then sections: 2 kind, 6 length, bytes
 *
 * Integers are big-endian. A reader accepts its own format alone: two versions of fabricd that differ in it say so before
 * anything is handed over. Unknown kinds of sections are passed over.
 */
#ifndef FABRICD_UPGRADE_SNAPSHOT_H
#define FABRICD_UPGRADE_SNAPSHOT_H

#include "fabricd/lib/ip.h"
#include "fabricd/lib/mem.h"
#include "fabricd/lib/mono.h"
#include "fabricd/lib/wire.h"

#ifndef SNAPSHOT_FORMAT
#define SNAPSHOT_FORMAT 3u
#endif
#define SNAPSHOT_HEAD 32

enum snapshot_kind {
	SNAPSHOT_NODE = 1,
	SNAPSHOT_PORT,
	SNAPSHOT_PEER,
	SNAPSHOT_ATTRS,
	SNAPSHOT_HOPS,
	SNAPSHOT_LISTS,
	SNAPSHOT_PREFIXES,
	SNAPSHOT_OUTPUT,
	SNAPSHOT_JOURNAL,
	SNAPSHOT_KINDS,
};

/* ---- writing: grows as needed ---- */

struct snapshot {
	struct mem *mem;
	uint8_t *bytes; /* of the whole; freed by snapshot_free() */
	size_t n, cap;
	size_t section; /* where the one in hand begins, 0: none */
	uint32_t sections;
};

void snapshot_begin(struct snapshot *, struct mem *);
void snapshot_section(struct snapshot *, enum snapshot_kind);
void snapshot_end(struct snapshot *); /* bytes and n are whole then */
void snapshot_free(struct snapshot *);

void snapshot_u8(struct snapshot *, uint8_t);
void snapshot_u16(struct snapshot *, uint16_t);
void snapshot_u32(struct snapshot *, uint32_t);
void snapshot_u64(struct snapshot *, uint64_t);
void snapshot_bytes(struct snapshot *, const void *, size_t n);
void snapshot_text(struct snapshot *, const char *); /* with its length, 2 octets */
void snapshot_ip(struct snapshot *, const struct ip *);
void snapshot_prefix(struct snapshot *, const struct prefix *); /* of a known family */

/* ---- reading ---- */

/* All sections; false with a sentence in err: it is of another format, or damaged. */
bool snapshot_open(const void *bytes, size_t n, struct rd *sections, char *err, size_t errlen);
/* The next section; false at the end, or with sections->bad. */
bool snapshot_next(struct rd *sections, unsigned int *kind, struct rd *section);

/* Printable ASCII of less than `size` octets; else r->bad. Returns buf. */
char *snapshot_get_text(struct rd *, char *buf, size_t size);
void snapshot_get_ip(struct rd *, struct ip *);
/* Host bits must be zero. */
void snapshot_get_prefix(struct rd *, enum family, struct prefix *);

#endif
