/* tests/fuzz/fuzz.h -- what every target has: its entry, and promises: one that is broken is named, and ends the run */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static inline void
must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

/* What an outsider sent goes into tables and logs. */
static inline void
must_print(const char *text)
{
	for (; *text; text++)
		must(*text >= ' ' && *text <= '~', "printable text");
}

#endif
