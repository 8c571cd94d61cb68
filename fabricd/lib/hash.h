/* fabricd/lib/hash.h -- the one keyed hash of all tables: a seed per node, so that nobody can aim at a bucket. */
#ifndef FABRICD_LIB_HASH_H
#define FABRICD_LIB_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t n);

/* Spreads one word; for keys that are already hashes, indices or pointers. */
static inline uint64_t
hash_u64(uint64_t seed, uint64_t v)
{
	v ^= seed;
	v *= 0x9e3779b97f4a7c15ull;
	v ^= v >> 32;
	v *= 0xd6e8feb86659fd93ull;
	return v ^ v >> 32;
}

#endif
