/* fabricd/upgrade/crashes.c -- see crashes.h */
#include "fabricd/upgrade/crashes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fabricd/lib/base.h"

#define FILE_MAX 512

int64_t
crashes_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
add(struct crashes *c, int64_t at_ms, int64_t now_ms)
{
	if (at_ms > now_ms || now_ms - at_ms > CRASHES_SPAN_MS)
		return;
	if (c->n == CRASHES_LIMIT) {
		memmove(c->at_ms, c->at_ms + 1, (CRASHES_LIMIT - 1) * sizeof(c->at_ms[0]));
		c->n--;
	}
	c->at_ms[c->n++] = at_ms;
}

/* Digits up to the end of the line; false: something else. */
static bool
read_time(const char *line, size_t len, int64_t *out)
{
	*out = 0;
	if (len == 0 || len > 15)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (line[i] < '0' || line[i] > '9')
			return false;
		*out = *out * 10 + (line[i] - '0');
	}
	return true;
}

/* As it stands there. */
static void
read_file(const char *dir, int64_t now_ms, struct crashes *out)
{
	char path[PATH_MAX], text[FILE_MAX], *line = text, *end;
	ssize_t n;
	int fd;

	*out = (struct crashes){ 0 };
	snprintf(path, sizeof(path), "%s/crashes", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (; (end = strchr(line, '\n')); line = end + 1) {
		int64_t at;

		if (read_time(line, (size_t)(end - line), &at))
			add(out, at, now_ms);
		else if (strncmp(line, "running\n", 8) == 0)
			out->unclean = true;
	}
}

void
crashes_read(const char *dir, int64_t now_ms, struct crashes *out)
{
	read_file(dir, now_ms, out);
	if (out->unclean)
		add(out, now_ms, now_ms);
}

int64_t
crashes_wait(const struct crashes *c)
{
	int64_t ms = 1000;

	if (!c->unclean || c->n < 2)
		return 0; /* once is an accident, and what starts us has waited already */
	if (c->n >= CRASHES_LIMIT)
		return CRASHES_NEVER;
	for (size_t i = 2; i < c->n; i++)
		ms *= 2;
	return MIN_OF(ms, CRASHES_MOST_MS);
}

int
crashes_write(const char *dir, const struct crashes *c, bool running)
{
	char path[PATH_MAX], other[PATH_MAX], text[FILE_MAX];
	size_t len = 0;
	int fd, e = 0;

	for (size_t i = 0; i < c->n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%lld\n", (long long)c->at_ms[i]);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", running ? "running\n" : "");
	snprintf(path, sizeof(path), "%s/crashes", dir);
	snprintf(other, sizeof(other), "%s/crashes.new", dir);
	fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		e = -EIO;
	close(fd);
	if (!e && rename(other, path) < 0)
		e = -errno;
	return e;
}

int
crashes_end(const char *dir)
{
	struct crashes c;

	read_file(dir, crashes_now(), &c);
	return crashes_write(dir, &c, false);
}
