/* fabricd/link/port_snapshot.c -- see port_snapshot.h; one description of the fields serves both directions */
#include <errno.h>
#include <string.h>

#include "fabricd/link/impl.h"
#include "fabricd/link/port_snapshot.h"

struct pack {
	struct wr *w; /* NULL: it is read */
	struct rd *r;
};

static uint64_t
field(struct pack *k, uint64_t v, int octets)
{
	uint64_t out = 0;

	for (int i = octets; i-- > 0;) {
		if (k->w)
			wr_u8(k->w, (uint8_t)(v >> 8 * i));
		else
			out = out << 8 | rd_u8(k->r);
	}
	return k->w ? v : out;
}

#define FIELD(k, x, octets) ((x) = (__typeof__((x) + 0))field((k), (uint64_t)(x), (octets)))

/* Text that is shown as it is. */
static void
text(struct pack *k, char *s, size_t size)
{
	size_t n = k->w ? strlen(s) : 0;

	FIELD(k, n, 1);
	if (k->w) {
		wr_bytes(k->w, s, n);
		return;
	}
	if (n >= size) {
		k->r->bad = true;
		return;
	}
	rd_bytes(k->r, s, n);
	s[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			k->r->bad = true;
}

static void
id(struct pack *k, uint8_t *subtype, uint8_t *bytes, uint8_t *n)
{
	FIELD(k, *subtype, 1);
	FIELD(k, *n, 1); /* 255 at most, as there is room for */
	if (k->w)
		wr_bytes(k->w, bytes, *n);
	else
		rd_bytes(k->r, bytes, *n);
}

static void
fabric(struct pack *k, struct lldp_fabric *f)
{
	f->present = field(k, f->present, 1) != 0;
	text(k, f->fabric, sizeof(f->fabric));
	text(k, f->node, sizeof(f->node));
	text(k, f->serial, sizeof(f->serial));
	text(k, f->port, sizeof(f->port));
	text(k, f->revision, sizeof(f->revision));
}

static void
entry(struct pack *k, struct link_lldp_entry *e)
{
	struct lldp_info *l = &e->info;

	FIELD(k, e->heard.us, 8);
	id(k, &l->chassis_subtype, l->chassis, &l->chassis_n);
	id(k, &l->port_subtype, l->port, &l->port_n);
	FIELD(k, l->ttl_s, 2);
	text(k, l->port_name, sizeof(l->port_name));
	text(k, l->chassis_name, sizeof(l->chassis_name));
	text(k, l->port_description, sizeof(l->port_description));
	text(k, l->system_name, sizeof(l->system_name));
	text(k, l->system_description, sizeof(l->system_description));
	FIELD(k, l->max_frame, 2);
	fabric(k, &l->ours);
}

void
link_port_save(const struct link_port *p, struct wr *w)
{
	struct pack k = { .w = w };

	field(&k, p->state, 1);
	field(&k, (uint64_t)p->since.us, 8);
	field(&k, p->told_cabling, 1);
	field(&k, p->told_mtu, 1);
	field(&k, p->nlldp, 1);
	for (size_t i = 0; i < p->nlldp; i++) {
		struct link_lldp_entry e = *p->lldp[i];

		entry(&k, &e);
	}
}

int
link_port_restore(struct link_port *p, struct rd r, struct mono now)
{
	struct pack k = { .r = &r };
	struct link_lldp_entry entries[LINK_LLDP] = { 0 };
	uint8_t state = rd_u8(&r);
	struct mono since = { .us = (int64_t)rd_u64(&r) };
	bool told_cabling = rd_u8(&r) != 0, told_mtu = rd_u8(&r) != 0;
	size_t n = rd_u8(&r);

	if (r.bad || n > LINK_LLDP || state >= LINK_STATES || since.us < 0 || since.us > now.us)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		entry(&k, &entries[i]);
		r.bad |= entries[i].heard.us < 0 || entries[i].heard.us > now.us || entries[i].info.ttl_s == 0;
		entries[i].expires.us = entries[i].heard.us + SECONDS((int64_t)entries[i].info.ttl_s);
	}
	if (r.bad || !rd_done(&r))
		return -EBADMSG;
	if (p->state == state)
		p->since = since;
	p->was = (enum link_state)state;
	p->was_since = p->state == LINK_MISSING ? since : (struct mono){ 0 };
	if (p->nlldp) /* what was heard by now is newer */
		return 0;
	for (; p->nlldp < n; p->nlldp++) {
		p->lldp[p->nlldp] = mem_alloc(p->mem, MEM_LINK, sizeof(*p->lldp[0]));
		*p->lldp[p->nlldp] = entries[p->nlldp];
	}
	p->told_cabling = told_cabling;
	p->told_mtu = told_mtu;
	return 0;
}
