/*
 * fabricd/link/lldp.h -- LLDP frames: bytes to structs and back (IEEE 802.1AB-2016)
 *
 * Pure. Beside the standard TLVs there is one of ours, an organizationally specific TLV with what a neighbour must know
 * to check the cabling: fabric, node, serial, port, revision of the topology. Texts of others are copied with bounds;
 * what is not printable in them becomes '?', so that they can be shown as they are.
 */
#ifndef FABRICD_LINK_LLDP_H
#define FABRICD_LINK_LLDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LLDP_ETHERTYPE 0x88cc
#define LLDP_FRAME_MAX 1514
#define LLDP_TEXT      128 /* texts are cut to this, with the NUL */
#define LLDP_ID        255 /* the longest id */

extern const uint8_t lldp_group[6]; /* 01:80:c2:00:00:0e, nearest bridge: never forwarded */

/* Ours: OUI 02:fa:b1 (locally administered), subtype 1. */
struct lldp_fabric {
	bool present;
	char fabric[64];
	char node[64]; /* "" : unprovisioned */
	char serial[64];
	char port[32];
	char revision[16]; /* digest of the topology file */
};

struct lldp_info {
	uint8_t chassis_subtype, port_subtype;
	uint8_t chassis[LLDP_ID], port[LLDP_ID];
	uint8_t chassis_n, port_n;
	uint16_t ttl_s;            /* 0: the sender shuts down */
	char port_name[LLDP_TEXT]; /* the port id as text (MAC as aa:bb:...) */
	char chassis_name[LLDP_TEXT];
	char port_description[LLDP_TEXT];
	char system_name[LLDP_TEXT];
	char system_description[LLDP_TEXT];
	uint16_t max_frame; /* IEEE 802.3 maximum frame size, 0: not told */
	struct lldp_fabric ours;
};

enum lldp_verdict {
	LLDP_OK,
	LLDP_BAD_SHORT, /* no room for an Ethernet header */
	LLDP_BAD_ETHERTYPE,
	LLDP_BAD_DEST,   /* not one of the LLDP group addresses */
	LLDP_BAD_ORDER,  /* chassis id, port id, TTL must come first, once each */
	LLDP_BAD_LENGTH, /* a TLV reaches past the end, or is too short or too long for its kind */
	LLDP_BAD_END,    /* bytes in an End TLV */
	LLDP_VERDICTS,
};
const char *lldp_verdict_text(enum lldp_verdict);

/* A whole frame from the destination MAC on. out is filled only with LLDP_OK. */
enum lldp_verdict lldp_parse(const uint8_t *frame, size_t n, struct lldp_info *out);

struct lldp_advert {
	uint8_t mac[6];               /* source address and chassis id */
	const char *port_name;        /* interface name: the port id */
	const char *port_description; /* NULL: none; here and below */
	const char *system_name, *system_description;
	uint16_t ttl_s;
	uint16_t max_frame; /* 0: not told */
	struct lldp_fabric ours;
};

/* Writes the whole frame. Returns its length, 0 when there is no room. Texts too long for their TLV are cut. */
size_t lldp_build(uint8_t *out, size_t room, const struct lldp_advert *);
/* The frame that ends our information at the neighbour: TTL 0 (a shutdown LLDPDU). */
size_t lldp_build_shutdown(uint8_t *out, size_t room, const uint8_t mac[6], const char *port_name);

#endif
