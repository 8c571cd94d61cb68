/*
 * bfd/host/record.h -- what of a session is kept for the next bfdd, as bytes; and the image that holds all of them
 *
 * The image is a header and slots of fixed size. A slot has two halves, and a change is written to the older one: so a
 * process that dies in the middle of it leaves the other half whole. Each half and the header carry a checksum.
 */
#ifndef BFD_HOST_RECORD_H
#define BFD_HOST_RECORD_H

#include "bfd/engine.h"
#include "fabricd/lib/wire.h"

#define BFD_IMAGE_VERSION 1
#define BFD_IMAGE_HEADER  64
#define BFD_HALF_BYTES    448
#define BFD_SLOT_BYTES    (2 * BFD_HALF_BYTES)

struct bfd_record {
	struct bfd_path path;
	struct bfd_params params; /* what all clients want together */
	char port[32];
	uint16_t source; /* our UDP port; 0: none yet */
	struct bfd_saved saved;
};

/* Its length; 0: there is no room for it. */
size_t bfd_record_encode(const struct bfd_record *, uint8_t *buf, size_t room);
/* False: these are not the bytes of a record. Whether its values make a session is for bfd_session_restore() to say. */
bool bfd_record_decode(struct rd, struct bfd_record *);

/* Where and when an image is good for: another boot has another clock, another namespace other port numbers. */
struct bfd_image_id {
	uint64_t boot, space;
};

struct bfd_image_header {
	uint64_t seed; /* of the engine */
	uint16_t tag;  /* of the discriminators that the sessions have; 0: an earlier bfdd did not say */
	struct bfd_image_id id;
	int64_t alive_us; /* monotonic; when the process was last seen at work, roughly */
};

/* to, header: BFD_IMAGE_HEADER bytes; slot: BFD_SLOT_BYTES. */
void bfd_image_begin(const struct bfd_image_header *, uint8_t *to);
/* The one field of the header that changes while a process runs; it is not part of the checksum. */
void bfd_image_alive(uint8_t *header, int64_t us);
/* record NULL: the slot is free. */
void bfd_image_put(uint8_t *slot, uint32_t number, const struct bfd_record *);

struct bfd_image_found {
	uint32_t sessions, damaged; /* slots */
};
/*
 * Reads an image: -EPROTO: no header, or a damaged one; -ESTALE: of another boot or namespace; -EPROTONOSUPPORT: of
 * another version. fn is given each whole session; a slot of which no half is whole is counted and left out.
 */
int bfd_image_header(const uint8_t *bytes, size_t n, const struct bfd_image_id *, struct bfd_image_header *);
void bfd_image_read(const uint8_t *bytes, size_t n, void (*fn)(void *arg, uint32_t number, const struct bfd_record *),
    void *arg, struct bfd_image_found *);

#endif
