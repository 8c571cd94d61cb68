/*
 * fabricd/upgrade/notify.h -- what systemd is told (sd_notify(3)): a datagram of lines to the socket in NOTIFY_SOCKET
 *
 * A few lines of our own instead of libsystemd: the protocol is this one datagram, and a router's daemon links as little as it can.
 */
#ifndef FABRICD_UPGRADE_NOTIFY_H
#define FABRICD_UPGRADE_NOTIFY_H

/* 0: sent, or nobody asked to be told (socket NULL or ""); else -errno. socket: the value of NOTIFY_SOCKET. */
int notify_supervisor(const char *socket, const char *lines);

#endif
