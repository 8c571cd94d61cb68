/* fabricd/lib/hash.c -- see hash.h */
#include <xxhash.h>

#include "fabricd/lib/hash.h"

uint64_t
hash_bytes(uint64_t seed, const void *bytes, size_t n)
{
	return XXH3_64bits_withSeed(bytes, n, seed);
}
