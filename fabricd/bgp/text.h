/* fabricd/bgp/text.h -- a text that grows in a buffer of fixed size; what does not fit is cut, and said to be cut. */
#ifndef FABRICD_BGP_TEXT_H
#define FABRICD_BGP_TEXT_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fabricd/lib/base.h"

struct text {
	char *buf;
	size_t size, len;
	bool cut;
};

static inline struct text
text_make(char *buf, size_t size)
{
	if (size)
		buf[0] = '\0';
	return (struct text){ .buf = buf, .size = size };
}

/* Appends all of it or, when there is no room, "..." in place of it; after that nothing more. */
static inline void PRINTF_LIKE(2, 3) text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	size_t room;
	int n;

	if (t->cut || t->size == 0)
		return;
	room = t->size - t->len;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, room, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < room) {
		t->len += (size_t)n;
		return;
	}
	t->cut = true;
	if (t->size >= 4)
		t->len = MIN_OF(t->len, t->size - 4);
	snprintf(t->buf + t->len, t->size - t->len, "...");
}

#endif
