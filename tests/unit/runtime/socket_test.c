/* tests/unit/runtime/socket_test.c -- fabricd/runtime/socket.c: addresses for the kernel and back */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/runtime/socket.h"

static struct ip
addr(const char *text)
{
	struct ip a;

	assert_true(ip_parse(text, &a));
	return a;
}

static void
addresses_there_and_back(void **state)
{
	static const struct {
		const char *name, *text;
		int family;
		const char *back;
		uint32_t scope;
	} cases[] = {
		{ "IPv4", "192.0.2.7", AF_INET, "192.0.2.7", 0 },
		{ "IPv6", "2001:db8::7", AF_INET6, "2001:db8::7", 0 },
		{ "link-local: with its port", "fe80::7", AF_INET6, "fe80::7", 9 },
		{ "mapped, as a socket of both families has it", "::ffff:192.0.2.7", AF_INET6, "192.0.2.7", 0 },
		{ "IPv4 on a socket of IPv6: any", "192.0.2.7", AF_INET6, "::", 0 },
		{ "any, on a socket of both families", "0.0.0.0", AF_INET6, "::", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip a = addr(cases[i].text), want = addr(cases[i].back), got;
		struct sockaddr_storage ss;
		socklen_t len;
		uint16_t port = 0;

		memset(&ss, 0xa5, sizeof(ss));
		len = socket_address(cases[i].family, &a, 179, 9, &ss);
		got = socket_ip(&ss, &port);
		if (!ip_equal(&got, &want) || port != 179 || ss.ss_family != cases[i].family ||
		    len != (cases[i].family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) ||
		    (cases[i].family == AF_INET6 && ((struct sockaddr_in6 *)&ss)->sin6_scope_id != cases[i].scope))
			fail_msg("%s", cases[i].name);
	}
}

static void
neither_family(void **state)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNIX };
	uint16_t port = 7;
	struct ip a = socket_ip(&ss, &port);

	(void)state;
	assert_true(ip_is_zero(&a));
	assert_int_equal(port, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_there_and_back),
		cmocka_unit_test(neither_family),
	};

	return cmocka_run_group_tests_name("runtime/socket", tests, NULL, NULL);
}
