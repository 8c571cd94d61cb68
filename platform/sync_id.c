/* platform/sync_id.c -- ids in use in the forwarding plane, and next hops by (ifindex, gateway) */
#include <string.h>

#include "platform/sync_internal.h"

static size_t
id_home(const struct sync *s, uint32_t id)
{
	return (size_t)hash_u64(s->cfg.seed, id) & (s->ids_size - 1);
}

struct id_slot *
id_find(const struct sync *s, uint32_t id)
{
	if (!s->ids_size || !id)
		return NULL;
	for (size_t i = id_home(s, id); s->ids[i].id; i = (i + 1) & (s->ids_size - 1)) {
		if (s->ids[i].id == id)
			return &s->ids[i];
	}
	return NULL;
}

static void
id_insert(struct sync *s, struct id_slot slot)
{
	size_t i = id_home(s, slot.id);

	while (s->ids[i].id)
		i = (i + 1) & (s->ids_size - 1);
	s->ids[i] = slot;
}

void
id_set(struct sync *s, uint32_t id, uint32_t what)
{
	struct id_slot *slot = id_find(s, id);

	if (slot) {
		slot->what = what;
		return;
	}
	if (s->ids_used * 2 >= s->ids_size) {
		struct id_slot *old = s->ids;
		size_t n = s->ids_size;

		s->ids_size = n ? n * 2 : 64;
		s->ids = mem_zalloc(s->cfg.mem, MEM_FIB, s->ids_size * sizeof(*s->ids));
		for (size_t i = 0; i < n; i++) {
			if (old[i].id)
				id_insert(s, old[i]);
		}
		mem_free(s->cfg.mem, MEM_FIB, old);
	}
	id_insert(s, (struct id_slot){ .id = id, .what = what });
	s->ids_used++;
}

void
id_drop(struct sync *s, uint32_t id)
{
	struct id_slot *slot = id_find(s, id);
	size_t mask = s->ids_size - 1, hole;

	if (!slot)
		return;
	hole = (size_t)(slot - s->ids);
	for (size_t i = (hole + 1) & mask; s->ids[i].id; i = (i + 1) & mask) {
		if (((i - id_home(s, s->ids[i].id)) & mask) >= ((i - hole) & mask)) {
			s->ids[hole] = s->ids[i];
			hole = i;
		}
	}
	s->ids[hole].id = 0;
	s->ids_used--;
}

/* Ids go up and come round, so that an id is not used again soon after its object went away. */
static uint32_t
id_take(struct sync *s, uint32_t first, uint32_t n, uint32_t *next, uint32_t what)
{
	uint32_t id;

	do {
		id = first + *next;
		*next = (*next + 1) % n;
	} while (!id || id_find(s, id));
	id_set(s, id, what);
	return id;
}

uint32_t
id_new(struct sync *s, uint32_t what)
{
	return id_take(s, s->cfg.id_base, SYNC_IDS - SYNC_OWN_IDS, &s->next_id, what);
}

uint32_t
id_new_own(struct sync *s, uint32_t what)
{
	return id_take(s, s->cfg.id_base + SYNC_IDS - SYNC_OWN_IDS, SYNC_OWN_IDS, &s->next_own_id, what);
}

bool
id_is_own(const struct sync *s, uint32_t id)
{
	return id - s->cfg.id_base >= SYNC_IDS - SYNC_OWN_IDS && id - s->cfg.id_base < SYNC_IDS;
}

static size_t
nh_home(const struct sync *s, uint32_t ifindex, const struct ip *gateway)
{
	return (size_t)hash_bytes(hash_u64(s->cfg.seed, ifindex), gateway, sizeof(*gateway)) & (s->nh_slots_size - 1);
}

static void
nh_insert(struct sync *s, uint32_t nh)
{
	size_t i = nh_home(s, s->nhs[nh].ifindex, &s->nhs[nh].gateway);

	while (s->nh_slots[i])
		i = (i + 1) & (s->nh_slots_size - 1);
	s->nh_slots[i] = nh + 1;
}

static void
nh_slots_grow(struct sync *s)
{
	size_t n = s->nh_slots_size;
	uint32_t *old = s->nh_slots;

	s->nh_slots_size = n ? n * 2 : 64;
	s->nh_slots = mem_zalloc(s->cfg.mem, MEM_FIB, s->nh_slots_size * sizeof(*s->nh_slots));
	for (size_t i = 0; i < n; i++) {
		if (old[i])
			nh_insert(s, old[i] - 1);
	}
	mem_free(s->cfg.mem, MEM_FIB, old);
}

bool
nh_find(const struct sync *s, uint32_t ifindex, const struct ip *gateway, uint32_t *out)
{
	for (size_t i = s->nh_slots_size ? nh_home(s, ifindex, gateway) : 0; s->nh_slots_size && s->nh_slots[i];
	     i = (i + 1) & (s->nh_slots_size - 1)) {
		const struct nexthop *h = &s->nhs[s->nh_slots[i] - 1];

		if (h->ifindex == ifindex && memcmp(&h->gateway, gateway, sizeof(*gateway)) == 0) {
			*out = s->nh_slots[i] - 1;
			return true;
		}
	}
	return false;
}

static uint32_t
nh_new(struct sync *s, uint32_t ifindex, const struct ip *gateway)
{
	uint32_t nh;

	if (s->free_nh) {
		nh = s->free_nh - 1;
		s->free_nh = s->nhs[nh].next_free;
	} else {
		s->nhs = mem_grow(s->cfg.mem, MEM_FIB, s->nhs, &s->nhs_cap, s->n_nhs + 1, sizeof(*s->nhs));
		nh = (uint32_t)s->n_nhs++;
	}
	s->nhs[nh] = (struct nexthop){ .ifindex = ifindex, .gateway = *gateway, .live = true, .parity = s->parity };
	for (size_t i = 0; i < s->n_ports; i++) {
		if (s->ports[i].ifindex == ifindex)
			s->nhs[nh].dark = !s->ports[i].up;
	}
	return nh;
}

/* Of such there are several for one neighbour: they are not found by it. */
uint32_t
nh_new_own(struct sync *s, uint32_t ifindex, const struct ip *gateway, uint32_t owner)
{
	uint32_t nh = nh_new(s, ifindex, gateway);

	s->nhs[nh].own = true;
	s->nhs[nh].owner = owner;
	return nh;
}

uint32_t
nh_get(struct sync *s, uint32_t ifindex, const struct ip *gateway)
{
	uint32_t nh;

	if (nh_find(s, ifindex, gateway, &nh))
		return nh;
	nh = nh_new(s, ifindex, gateway);
	if (s->nh_slots_used * 2 >= s->nh_slots_size)
		nh_slots_grow(s);
	nh_insert(s, nh);
	s->nh_slots_used++;
	return nh;
}

static void
nh_remove(struct sync *s, uint32_t nh)
{
	const struct nexthop *h = &s->nhs[nh];
	size_t mask = s->nh_slots_size - 1, hole = nh_home(s, h->ifindex, &h->gateway);

	while (s->nh_slots[hole] != nh + 1)
		hole = (hole + 1) & mask;
	for (size_t i = (hole + 1) & mask; s->nh_slots[i]; i = (i + 1) & mask) {
		const struct nexthop *other = &s->nhs[s->nh_slots[i] - 1];

		if (((i - nh_home(s, other->ifindex, &other->gateway)) & mask) >= ((i - hole) & mask)) {
			s->nh_slots[hole] = s->nh_slots[i];
			hole = i;
		}
	}
	s->nh_slots[hole] = 0;
	s->nh_slots_used--;
}

void
nh_forget(struct sync *s, uint32_t nh)
{
	struct nexthop *h = &s->nhs[nh];

	if (!h->own)
		nh_remove(s, nh);
	if (h->id)
		id_drop(s, h->id);
	*h = (struct nexthop){ .next_free = s->free_nh };
	s->free_nh = nh + 1;
}
