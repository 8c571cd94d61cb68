/*
 * fabricd/bgp/message.h -- BGP messages other than UPDATE: bytes to structs and back
 *
 * Framing (RFC 4271 4.1, RFC 8654), OPEN with its capabilities (RFC 5492, 9072), NOTIFICATION (RFC 4271 4.5, 4486,
 * 6608, 8538, 9003), KEEPALIVE, ROUTE-REFRESH (RFC 2918, 7313). Nothing here keeps state or allocates.
 */
#ifndef FABRICD_BGP_MESSAGE_H
#define FABRICD_BGP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "fabricd/lib/ip.h"
#include "fabricd/lib/wire.h"

#define BGP_PORT         179
#define BGP_HEADER       19
#define BGP_MAX          4096
#define BGP_MAX_EXTENDED 65535
#define BGP_AS_TRANS     23456
#define BGP_SAFI_UNICAST 1
#define BGP_NOTICE_DATA  258 /* what we send or keep of its data: a hard reset with a shutdown communication of 255 */
#define BGP_NAME         65  /* host and domain name of capability 73, with the NUL */
#define BGP_NOTICE_TEXT  256 /* room for any NOTIFICATION in words, with the NUL */

enum bgp_type { BGP_OPEN = 1, BGP_UPDATE, BGP_NOTIFICATION, BGP_KEEPALIVE, BGP_ROUTE_REFRESH, BGP_TYPES };

enum bgp_code {
	BGP_ERR_HEADER = 1,
	BGP_ERR_OPEN,
	BGP_ERR_UPDATE,
	BGP_ERR_HOLD,
	BGP_ERR_FSM,
	BGP_ERR_CEASE,
	BGP_ERR_REFRESH,
	BGP_ERR_SEND_HOLD,
};

enum bgp_cease { /* RFC 4486, 8538, 9384 */
	BGP_CEASE_MAX_PREFIXES = 1,
	BGP_CEASE_SHUTDOWN,
	BGP_CEASE_DECONFIGURED,
	BGP_CEASE_RESET,
	BGP_CEASE_REJECTED,
	BGP_CEASE_CONFIG_CHANGE,
	BGP_CEASE_COLLISION,
	BGP_CEASE_RESOURCES,
	BGP_CEASE_HARD_RESET,
	BGP_CEASE_BFD_DOWN,
};

/* A NOTIFICATION, to be sent or as received. code 0: none. */
struct bgp_notice {
	uint8_t code, subcode;
	uint16_t len; /* of data that is kept */
	uint8_t data[BGP_NOTICE_DATA];
};

const char *bgp_type_name(uint8_t type);
uint16_t bgp_afi(enum family f);
/* Whether (afi, safi) is one of our families: unicast of IPv4 or IPv6. */
bool bgp_family_of(uint16_t afi, uint8_t safi, enum family *out);

/* ---- framing ---- */

enum bgp_frame { BGP_FRAME_WHOLE, BGP_FRAME_MORE, BGP_FRAME_BAD };

struct bgp_message {
	uint8_t type;
	uint16_t len;         /* with the header */
	const uint8_t *start; /* of the header */
	struct rd body;       /* behind the header */
};

/*
 * Looks for one message at the start of n bytes. WHOLE: *out is set, its body borrows from bytes. MORE: nothing is
 * wrong so far. BAD: *err holds the NOTIFICATION. `extended`: RFC 8654 was negotiated, so that all but OPEN and
 * KEEPALIVE may have up to 65,535 octets.
 */
enum bgp_frame bgp_frame(
    const uint8_t *bytes, size_t n, bool extended, struct bgp_message *out, struct bgp_notice *err);

/* ---- OPEN ---- */

/* Bits of bgp_open.caps; their names are given by bgp_cap_name(). */
enum bgp_cap {
	BGP_CAP_MP_IPV4 = 1 << 0, /* 1, RFC 4760 */
	BGP_CAP_MP_IPV6 = 1 << 1,
	BGP_CAP_REFRESH = 1 << 2,             /* 2, RFC 2918 */
	BGP_CAP_IPV4_OVER_IPV6 = 1 << 3,      /* 5, RFC 8950: IPv4 unicast with an IPv6 next hop */
	BGP_CAP_EXTENDED_MESSAGE = 1 << 4,    /* 6, RFC 8654 */
	BGP_CAP_ROLE = 1 << 5,                /* 9, RFC 9234: seen, kept in bgp_open.role */
	BGP_CAP_GRACEFUL_RESTART = 1 << 6,    /* 64, RFC 4724 and 8538: what is in it stands in bgp_open.gr_... */
	BGP_CAP_AS4 = 1 << 7,                 /* 65, RFC 6793 */
	BGP_CAP_ADD_PATH = 1 << 8,            /* 69, RFC 7911: seen, shown */
	BGP_CAP_ENHANCED_REFRESH = 1 << 9,    /* 70, RFC 7313 */
	BGP_CAP_LONG_LIVED_RESTART = 1 << 10, /* 71, RFC 9494: in bgp_open.llgr_... */
	BGP_CAP_HOSTNAME = 1 << 11,           /* 73, as FRR sends it */
	BGP_CAP_ALL = (1 << 12) - 1,
};

#define BGP_CAP_MP (BGP_CAP_MP_IPV4 | BGP_CAP_MP_IPV6)

/* RFC 4724 3: we have restarted, wait for nothing of us. RFC 8538 2: a NOTIFICATION does not end graceful restart. */
enum bgp_restart_flag { BGP_RESTARTED = 8, BGP_KEEPS_NOTIFIED = 4 };

struct bgp_open {
	uint8_t version;
	uint32_t asn; /* from capability 65 when it is there, else the two octets */
	uint16_t hold_s;
	uint32_t id;   /* BGP Identifier, host order */
	uint32_t caps; /* enum bgp_cap */
	bool bare;     /* parsed: no MP capability at all, so that IPv4 unicast is meant (RFC 4760 8) */
	char hostname[BGP_NAME], domain[BGP_NAME]; /* printable ASCII only; "" when not sent */
	uint8_t gr_flags;                          /* enum bgp_restart_flag */
	uint16_t gr_restart_s;                     /* at most 4095 */
	uint8_t gr_families, gr_forwarding;        /* bit 1 << family: listed; listed with the F bit */
	uint8_t llgr_families, llgr_forwarding;    /* RFC 9494, in the same way */
	uint32_t llgr_stale_s[FAMILIES];           /* at most 2^24 - 1 */
	uint8_t role;                              /* with BGP_CAP_ROLE */
	uint8_t others[8];                         /* first capability codes that are not ours, for display */
	uint8_t nothers;
};

/* Whether a mask of enum bgp_cap speaks of this family. */
static inline uint32_t
bgp_cap_family(enum family f)
{
	return f == FAMILY_IPV4 ? BGP_CAP_MP_IPV4 : BGP_CAP_MP_IPV6;
}

const char *bgp_cap_name(enum bgp_cap one_bit); /* "4-octet AS"; NULL for no single bit of ours */

/* False: *err is what to answer. Semantic checks (expected AS, identifier) are the session's. */
bool bgp_open_parse(struct rd body, struct bgp_open *out, struct bgp_notice *err);
/*
 * Capabilities alone, as they stand in one optional parameter of type 2; false when their lengths do not add up.
 * Unknown ones are skipped. `out` must be initialised.
 */
bool bgp_caps_parse(struct rd r, struct bgp_open *out);

/* Each writer appends one whole message; w->full tells when there was no room. */
void bgp_open_write(struct wr *w, const struct bgp_open *open);
void bgp_keepalive_write(struct wr *w);

/* ---- NOTIFICATION ---- */

/* Bodies shorter than 2 octets: false. Data past BGP_NOTICE_DATA is not kept. */
bool bgp_notice_parse(struct rd body, struct bgp_notice *out);
void bgp_notice_write(struct wr *w, const struct bgp_notice *n);

/* A notice with data; len is cut to BGP_NOTICE_DATA. */
struct bgp_notice bgp_notice_make(uint8_t code, uint8_t subcode, const void *data, size_t len);
/* RFC 8538 3: a Cease 6/9 that holds this one: the paths of who sends it go at once, whatever was agreed upon. */
struct bgp_notice bgp_notice_hard_reset(const struct bgp_notice *);
/* Cease with a shutdown communication (RFC 9003) for subcodes 2 and 4; text NULL or "" means none; cut to 255 octets
 * at the edge of a character. */
struct bgp_notice bgp_notice_cease(uint8_t subcode, const char *text);

const char *bgp_subcode_name(uint8_t code, uint8_t subcode);
/*
 * "Cease (6/2): administrative shutdown, "text"": every octet of the peer is escaped, so that nothing but printable
 * ASCII comes out, in at most 255 octets. A hard reset (RFC 8538) shows what it holds. Returns buf.
 */
char *bgp_notice_text(const struct bgp_notice *n, char *buf, size_t size);
/* Copies outside bytes as printable ASCII; others as \xNN, a backslash as \\. Always ends with NUL. Returns out. */
char *bgp_escape(const uint8_t *bytes, size_t n, char *out, size_t size);

/* ---- ROUTE-REFRESH ---- */

enum bgp_refresh { BGP_REFRESH_REQUEST, BGP_REFRESH_BEGIN, BGP_REFRESH_END };

struct bgp_refresh_message {
	uint16_t afi;
	uint8_t subtype, safi;
};

/*
 * False: *err is what to answer (7/1, RFC 7313 5). A request with an ORF behind it (RFC 5291) reads as a request. `enhanced`:
 * RFC 7313 was agreed upon; otherwise there are no subtypes, and all is a request (RFC 2918 3).
 */
bool bgp_refresh_parse(
    const struct bgp_message *m, bool enhanced, struct bgp_refresh_message *out, struct bgp_notice *err);
void bgp_refresh_write(struct wr *w, enum family f, enum bgp_refresh subtype);

#endif
