/* fabricd/sim/log.c -- see log.h */
#include <stdarg.h>
#include <string.h>

#include "fabricd/lib/hash.h"
#include "fabricd/sim/log.h"

char *
simlog_time(struct mono at, char buf[SIMLOG_TIME])
{
	snprintf(buf, SIMLOG_TIME, "%lld.%06lld", (long long)(at.us / 1000000), (long long)(at.us % 1000000));
	return buf;
}

void
simlog_add(struct simlog *l, struct mono at, const char *who, const char *fmt, ...)
{
	char *line = l->kept[l->lines++ % SIMLOG_KEEP], time[SIMLOG_TIME];
	va_list ap;
	int n;

	n = snprintf(line, SIMLOG_LINE, "%s %s ", simlog_time(at, time), who);
	va_start(ap, fmt);
	vsnprintf(line + n, SIMLOG_LINE - (size_t)n, fmt, ap);
	va_end(ap);
	l->hash = hash_bytes(l->hash, line, strlen(line) + 1);
	if (l->out)
		fprintf(l->out, "%s\n", line);
}

void
simlog_tail(const struct simlog *l, size_t n, FILE *out)
{
	uint64_t first = l->lines > SIMLOG_KEEP ? l->lines - SIMLOG_KEEP : 0;

	if (l->lines > n)
		first = MAX_OF(first, l->lines - n);
	for (uint64_t i = first; i < l->lines; i++)
		fprintf(out, "  %s\n", l->kept[i % SIMLOG_KEEP]);
}
