/* fabricd/sim/outside.c -- see outside.h */
#include <stdio.h>
#include <stdlib.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/outside.h"

struct ip
outside_probe(enum family f)
{
	struct ip a = { .family = f };

	ip_parse(f == FAMILY_IPV4 ? "233.252.0.7" : "3fff:7::7", &a); /* RFC 6676, RFC 9637: documentation */
	return a;
}

/* The AS that the fabric's side of the session says it is. */
static uint32_t
fabric_as(const struct topo *t, const struct topo_external *x)
{
	return x->local_as ? x->local_as : t->nodes[x->node].asn;
}

static void
print_prefixes(FILE *f, const struct topo_external *x, uint32_t n)
{
	bool v4 = x->peer.family == FAMILY_IPV4;

	if (x->max_prefixes)
		n = MIN_OF(n, x->max_prefixes - 1);
	fprintf(f, v4 ? "[0.0.0.0/0" : "[\"::/0\"");
	for (uint32_t i = 0; i < n; i++) {
		if (v4)
			fprintf(f, ", %u.%u.%u.0/24", 20 + (i >> 16), i >> 8 & 255, i & 255);
		else
			fprintf(f, ", \"2400:%x:%x::/48\"", i >> 16, i & 0xffff);
	}
	fputc(']', f);
}

struct topo *
outside_topo(
    const struct topo *t, const struct topo_external *x, uint32_t prefixes, uint32_t number, char *err, size_t errlen)
{
	char *text = NULL, local[IP_TEXT], peer[IP_TEXT], *why;
	struct topo_errors errs = { 0 };
	struct topo *out;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f) {
		snprintf(err, errlen, "out of memory");
		return NULL;
	}
	fprintf(f,
	    "schema: 1\nfabric: outside\ntiers:\n"
	    "  - {name: outside, count: 1, role: border, asn: %u, loopback: 198.18.%u.0/24}\nexternal:\n"
	    "  - {at: \"outside1:" OUTSIDE_PORT
	    "\", name: fabric, asn: %u, local_as: %u, local: \"%s/%u\", peer: \"%s\", "
	    "in: full, out: full%s, ",
	    4250000000u + number % 1000000, number % 256, fabric_as(t, x), x->asn, ip_print(&x->peer, peer), x->len,
	    ip_print(&x->local, local), x->gtsm ? ", gtsm: true" : "");
	if (x->long_lived_us)
		fprintf(f, "long_lived: %llds, ", (long long)(x->long_lived_us / 1000000));
	if (x->auth)
		fprintf(f, "auth: %s, ", x->auth);
	fputs("originate: ", f);
	print_prefixes(f, x, prefixes);
	fputs("}\n", f);
	fclose(f);
	out = topo_load(text, len, &errs);
	if (!out) {
		why = topo_errors_print(&errs, "outside", text, len);
		snprintf(err, errlen, "the peer of %s cannot be made: %.150s", x->name, why ? why : "out of memory");
		free(why);
	}
	topo_errors_free(&errs);
	free(text);
	return out;
}
