/* fabricd/ctl/ctl.c -- what commands share: failing in sentences, reading files and durations */
#include "fabricd/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *const ctl_format_names[FORMATS] = { "table", "wide", "json", "jsonl", "csv" };

int
ctl_fail(enum query_status status, const char *next, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "fabctl: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	if (next)
		fprintf(stderr, "  next: %s\n", next);
	return (int)status;
}

char *
ctl_read_file(const char *path, size_t max, size_t *len)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text = NULL;
	ssize_t n = 0;

	*len = 0;
	if (fd < 0 || fstat(fd, &st)) {
		ctl_fail(QUERY_USAGE, "the path of a topology file, or - for stdin", "%s: %s", path, strerror(errno));
		goto out;
	}
	if (S_ISDIR(st.st_mode)) {
		ctl_fail(QUERY_USAGE, "give it a topology file", "%s is a folder", path);
		goto out;
	}
	if (!(text = malloc(max + 2)))
		goto out;
	while (*len <= max && (n = read(fd, text + *len, max + 1 - *len)) > 0)
		*len += (size_t)n;
	if (n < 0 || *len > max) {
		if (n < 0)
			ctl_fail(QUERY_USAGE, NULL, "%s: %s", path, strerror(errno));
		else
			ctl_fail(QUERY_USAGE, NULL, "%s is larger than %zu MiB", path, max >> 20);
		free(text);
		text = NULL;
		goto out;
	}
	text[*len] = '\0';
out:
	if (fd > STDIN_FILENO)
		close(fd);
	return text;
}

int64_t
ctl_duration(const char *text)
{
	static const struct {
		const char *unit;
		int64_t us;
	} units[] = { { "", SECONDS(1) }, { "s", SECONDS(1) }, { "ms", MS(1) }, { "m", SECONDS(60) },
		{ "h", SECONDS(3600) }, { "d", SECONDS(86400) } };
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (end == text || *text == '-' || errno || n > 1000000)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(end, units[i].unit) == 0)
			return (int64_t)n * units[i].us;
	}
	return -1;
}

struct mono
ctl_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono){ SECONDS(ts.tv_sec) + ts.tv_nsec / 1000 };
}
