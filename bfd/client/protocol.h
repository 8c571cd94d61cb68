/* bfd/client/protocol.h -- the messages between bfdd and its clients, as plain values; used by both ends */
#ifndef BFD_CLIENT_PROTOCOL_H
#define BFD_CLIENT_PROTOCOL_H

#include "bfd/bfd.h"
#include "fabricd/lib/wire.h"

#define BFD_FRAME_MAX 2048 /* with its four bytes of length */

enum bfd_ask { BFD_ASK_WATCH, BFD_ASK_UNWATCH, BFD_ASK_LIST, BFD_ASK_UNSOLICITED, BFD_ASK_BYE };

struct bfd_request {
	enum bfd_ask ask;
	uint32_t id;                    /* watch, unwatch */
	struct bfd_target target;       /* watch */
	struct bfd_strangers strangers; /* unsolicited */
	bool counters;                  /* list */
};

enum bfd_tell { BFD_TELL_STATE, BFD_TELL_ROW, BFD_TELL_COUNTER, BFD_TELL_END };

struct bfd_reply {
	enum bfd_tell tell;
	uint32_t id;              /* state */
	struct bfd_status status; /* state; status.refused points to text */
	struct bfd_row row;       /* row; row.port points to text */
	struct bfd_path path;     /* counter: count.path points to it, if it is of a session */
	struct bfd_count count;   /* counter; its texts point to text, name and what */
	int64_t counted_us;       /* end, of counters */
	char text[160], name[32], what[160];
};

/* Write one frame to buf of BFD_FRAME_MAX bytes and return its length; nothing is allocated. */
size_t bfd_request_encode(const struct bfd_request *, uint8_t *buf);
size_t bfd_reply_encode(const struct bfd_reply *, uint8_t *buf);
/* Bytes of a frame without its length. -EPROTO: not such a message, or one with impossible values. */
int bfd_request_decode(struct rd body, struct bfd_request *);
int bfd_reply_decode(struct rd body, struct bfd_reply *);
/* Takes one frame off r: 1 and its body; 0: it is not whole yet; -EMSGSIZE: it never will be. */
int bfd_frame(struct rd *r, struct rd *body);

#endif
