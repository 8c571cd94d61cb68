/* fabricd/upgrade/notify.c -- see notify.h */
#include "fabricd/upgrade/notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
notify_supervisor(const char *path, const char *lines)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	int fd, e = 0;

	if (n == 0)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || n >= sizeof(un.sun_path))
		return -EINVAL;
	memcpy(un.sun_path, path, n);
	if (path[0] == '@') /* the abstract name space */
		un.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, lines, strlen(lines), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&un,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		e = -errno;
	close(fd);
	return e;
}
