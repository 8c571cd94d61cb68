/*
 * bfd/daemon/store.c -- the file in shared memory in which bfdd's sessions outlive it
 *
 *   host: keep(slot, record) -> bfd_image_put() into the mapping
 *   next process: header -> sessions -> bfd_host_restore(), each in the slot that it had
 *
 * It lies beside the socket, on a file system in memory (/run), and belongs to its user alone, since keys stand in it.
 * What is written is there at once, whatever becomes of the process; nothing is ever flushed.
 *
 * Always true: the mapping holds a header that fits this boot and this network namespace; a slot is used by one session
 * or by none; to write one allocates nothing, but a new session may make the file longer.
 */
#include "bfd/daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"

#define FIRST_SLOTS 64
#define SLOTS_MAX   8192
#define TOO_OLD_US  SECONDS(10) /* no neighbour waits so long */

struct bfd_store {
	struct mem *mem;
	char *path;
	int fd;
	uint8_t *map;
	size_t bytes;
	uint32_t slots;
	bool *used;
	size_t cap_used;
	bool restoring;
	struct bfd_host *host; /* while it restores */
	size_t restored;
	struct bfd_image_id id;
	uint64_t seed;
	uint16_t tag;
};

static size_t
bytes_of(uint32_t slots)
{
	return BFD_IMAGE_HEADER + (size_t)slots * BFD_SLOT_BYTES;
}

static struct bfd_image_id
id_here(void)
{
	struct bfd_image_id id = { 0 };
	char text[64] = "";
	struct stat st;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	id.boot = hash_bytes(1, text, n > 0 ? (size_t)n : 0);
	if (stat("/proc/self/ns/net", &st) == 0)
		id.space = hash_u64((uint64_t)st.st_dev, (uint64_t)st.st_ino);
	return id;
}

static int
resize(struct bfd_store *s, uint32_t slots)
{
	size_t bytes = bytes_of(slots);
	void *map;

	/* Space that is not there now would be missed in the middle of a store, with a signal. */
	if (posix_fallocate(s->fd, 0, (off_t)bytes) != 0)
		return -ENOSPC;
	map = s->map ? mremap(s->map, s->bytes, bytes, MREMAP_MAYMOVE)
		     : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	s->map = map;
	s->bytes = bytes;
	s->used = mem_grow(s->mem, MEM_SESSION, s->used, &s->cap_used, slots, sizeof(s->used[0]));
	for (uint32_t i = s->slots; i < slots; i++)
		s->used[i] = false;
	s->slots = slots;
	return 0;
}

static int
begin_anew(struct bfd_store *s, struct mono now)
{
	struct bfd_image_header h = { .seed = s->seed, .tag = s->tag, .id = s->id, .alive_us = now.us };
	int err;

	if (ftruncate(s->fd, 0) < 0)
		return -errno;
	err = resize(s, FIRST_SLOTS);
	if (!err)
		bfd_image_begin(&h, s->map);
	return err;
}

static void
note(void *arg UNUSED, uint32_t number UNUSED, const struct bfd_record *rec UNUSED)
{
}

/* Why what is there is of no use; NULL: it is. */
static const char *
judge(struct bfd_store *s, struct mono now, struct bfd_store_found *found)
{
	struct bfd_image_header h;
	struct stat st;
	size_t slots;
	int err;

	if (fstat(s->fd, &st) < 0 || st.st_size == 0)
		return "there is none";
	slots = st.st_size > BFD_IMAGE_HEADER ? ((size_t)st.st_size - BFD_IMAGE_HEADER) / BFD_SLOT_BYTES : 0;
	if (!slots || slots > SLOTS_MAX || (size_t)st.st_size != bytes_of((uint32_t)slots))
		return "its size is none that was ever written";
	if (resize(s, (uint32_t)slots))
		return "it cannot be mapped";
	err = bfd_image_header(s->map, s->bytes, &s->id, &h);
	if (err)
		return err == -ESTALE            ? "it is of another boot or another network namespace"
		       : err == -EPROTONOSUPPORT ? "it is of another version of bfdd"
						 : "its beginning is damaged";
	found->away_us = mono_sub(now, (struct mono){ h.alive_us });
	if (found->away_us < 0 || found->away_us > TOO_OLD_US) {
		found->away_us = -1;
		return "it is too old: no neighbour waits so long";
	}
	s->seed = h.seed;
	s->tag = h.tag ? h.tag : bfd_engine_tag_of(h.seed);
	bfd_image_read(s->map, s->bytes, note, s, &found->image);
	return NULL;
}

struct bfd_store *
bfd_store_open(
    struct mem *mem, const char *path, uint64_t seed, bool anew, struct mono now, struct bfd_store_found *found)
{
	struct bfd_store *s = mem_zalloc(mem, MEM_SESSION, sizeof(*s));
	int err = 0;

	*found = (struct bfd_store_found){ .away_us = -1 };
	*s = (struct bfd_store){ .mem = mem,
		.path = mem_strdup(mem, MEM_SESSION, path),
		.seed = seed,
		.tag = bfd_engine_tag_of(seed),
		.id = id_here() };
	s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd < 0 || flock(s->fd, LOCK_EX | LOCK_NB) < 0) {
		err = errno;
		bfd_store_close(s, false);
		errno = err;
		return NULL;
	}
	found->why = anew ? "the process before may have died of it" : judge(s, now, found);
	if (found->why) {
		if (s->map)
			munmap(s->map, s->bytes);
		s->map = NULL;
		s->slots = 0;
		err = begin_anew(s, now);
	}
	if (err) {
		bfd_store_close(s, true);
		errno = -err;
		return NULL;
	}
	found->seed = s->seed;
	found->tag = s->tag;
	return s;
}

static void
restore_one(void *arg, uint32_t number, const struct bfd_record *rec)
{
	struct bfd_store *s = arg;
	int err = bfd_host_restore(s->host, number + 1, rec);

	s->used[number] = !err;
	s->restored += !err;
	if (err) /* it may not come back with the next one */
		bfd_image_put(s->map + bytes_of(number), number, NULL);
}

size_t
bfd_store_restore(struct bfd_store *s, struct bfd_host *host)
{
	struct bfd_image_found found;
	size_t bytes = s->bytes;
	uint8_t *copy = mem_alloc(s->mem, MEM_SESSION, bytes);

	/* From a copy: each session is written again as soon as it is there. */
	memcpy(copy, s->map, bytes);
	s->host = host;
	bfd_image_read(copy, bytes, restore_one, s, &found);
	s->host = NULL;
	mem_free(s->mem, MEM_SESSION, copy);
	return s->restored;
}

static uint32_t
free_slot(struct bfd_store *s)
{
	uint32_t i = 0;

	while (i < s->slots && s->used[i])
		i++;
	if (i < s->slots)
		return i;
	return i < SLOTS_MAX && !resize(s, MIN_OF(2 * s->slots, (uint32_t)SLOTS_MAX)) ? i : UINT32_MAX;
}

void
bfd_store_keep(void *store, uint32_t *slot, const struct bfd_record *rec)
{
	struct bfd_store *s = store;
	uint32_t number;

	if (!rec && !*slot)
		return;
	number = *slot ? *slot - 1 : free_slot(s);
	if (number == UINT32_MAX)
		return; /* no room: this one begins anew after a crash */
	s->used[number] = rec != NULL;
	bfd_image_put(s->map + bytes_of(number), number, rec);
	*slot = rec ? number + 1 : 0;
}

void
bfd_store_alive(struct bfd_store *s, struct mono now)
{
	bfd_image_alive(s->map, now.us);
}

void
bfd_store_close(struct bfd_store *s, bool remove)
{
	if (!s)
		return;
	if (s->map)
		munmap(s->map, s->bytes);
	if (remove)
		unlink(s->path);
	if (s->fd >= 0)
		close(s->fd);
	mem_free(s->mem, MEM_SESSION, s->used);
	mem_free(s->mem, MEM_SESSION, s->path);
	mem_free(s->mem, MEM_SESSION, s);
}
