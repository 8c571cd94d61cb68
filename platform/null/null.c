/*
 * platform/null/null.c -- see null.h
 *
 * Operations are acknowledged from the loop, in their order, as by any other backend: so what sync and the RIB do is
 * the same, and only the forwarding plane is left out. It says of itself that it proves nothing, and has nothing to
 * dump; an audit would find everything missing, so dump says -ENOTSUP. Ports are those of another platform, whose
 * news are handed on; what is counted is that one's, too.
 */
#include <errno.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "platform/null/null.h"

#define QUEUE 4096

struct null_platform {
	struct platform base;
	struct platform *ports; /* NULL: none */
	struct mem *mem;
	struct rt_work *tell;
	struct plat_result results[QUEUE];
	size_t n;
};

static bool
tell(void *arg)
{
	struct null_platform *np = arg;
	size_t n = np->n;

	if (np->base.client && np->base.client->results)
		np->base.client->results(np->base.client_arg, np->results, n);
	np->n -= n;
	memmove(np->results, np->results + n, np->n * sizeof(*np->results));
	return np->n > 0;
}

static size_t
null_submit(struct platform *p, const struct plat_op *ops, size_t n)
{
	struct null_platform *np = (struct null_platform *)p;

	n = MIN_OF(n, QUEUE - np->n);
	for (size_t i = 0; i < n; i++)
		np->results[np->n++] = (struct plat_result){ .cookie = ops[i].cookie, .outcome = PLAT_INSTALLED };
	if (n)
		rt_work_schedule(np->tell);
	return n;
}

static int
null_dump(struct platform *p, plat_dump_fn *fn, void *arg)
{
	(void)p;
	(void)fn;
	(void)arg;
	return -ENOTSUP;
}

static int
null_system_setup(struct platform *p, const struct plat_system_config *cfg)
{
	(void)p;
	(void)cfg;
	return 0;
}

static int
null_port_setup(struct platform *p, const char *name, const struct plat_port_config *cfg)
{
	struct platform *ports = ((struct null_platform *)p)->ports;

	return ports ? ports->ops->port_setup(ports, name, cfg) : -ENODEV;
}

static int
null_address_set(struct platform *p, const char *port, const struct ip *a, uint8_t len, bool present)
{
	struct platform *ports = ((struct null_platform *)p)->ports;

	return ports ? ports->ops->address_set(ports, port, a, len, present) : 0;
}

static int
null_bridge_setup(struct platform *p, const char *name, bool create)
{
	struct platform *ports = ((struct null_platform *)p)->ports;

	return ports ? ports->ops->bridge_setup(ports, name, create) : 0;
}

static void
null_counters(const struct platform *p, struct counters *out)
{
	const struct platform *ports = ((const struct null_platform *)p)->ports;

	*out = (struct counters){ 0 };
	if (ports && ports->ops->counters)
		ports->ops->counters(ports, out);
}

static void
hand_port_on(void *arg, const struct plat_port *port)
{
	struct null_platform *np = arg;

	if (np->base.client && np->base.client->port)
		np->base.client->port(np->base.client_arg, port);
}

static void
hand_problem_on(void *arg, const char *text)
{
	struct null_platform *np = arg;

	if (np->base.client && np->base.client->problem)
		np->base.client->problem(np->base.client_arg, text);
}

/* None of our objects is in that forwarding plane: what others change there is nothing to us. */
static void
ignore_desync(void *arg, const char *why)
{
	(void)arg;
	(void)why;
}

static const struct platform_client ports_client = {
	.port = hand_port_on,
	.problem = hand_problem_on,
	.desync = ignore_desync,
};

static void
null_close(struct platform *p)
{
	struct null_platform *np = (struct null_platform *)p;

	if (np->ports)
		np->ports->ops->close(np->ports);
	rt_work_free(np->tell);
	mem_free(np->mem, MEM_FIB, np);
}

static const struct platform_ops null_ops = {
	.name = "null",
	.close = null_close,
	.system_setup = null_system_setup,
	.port_setup = null_port_setup,
	.address_set = null_address_set,
	.bridge_setup = null_bridge_setup,
	.submit = null_submit,
	.dump = null_dump,
	.counters = null_counters,
};

struct platform *
null_platform_open(struct runtime *rt, struct mem *mem, struct platform *ports, char *err, size_t errlen)
{
	struct null_platform *np = mem_zalloc(mem, MEM_FIB, sizeof(*np));

	(void)err;
	(void)errlen;
	np->base.ops = &null_ops;
	np->base.caps = (struct platform_caps){
		.max_routes = { UINT32_MAX, UINT32_MAX },
		.max_nexthops = UINT32_MAX,
		.max_groups = UINT32_MAX,
		.max_members = UINT32_MAX,
		.max_group_size = 512,
		.weight_bits = 16,
		.shared_group = true,
		.v4_over_v6 = true,
		.atomic_group_replace = true,
		.batch = 128,
	};
	np->mem = mem;
	np->ports = ports;
	if (ports) {
		ports->client = &ports_client;
		ports->client_arg = np;
	}
	np->tell = rt_work_new(rt, RT_URGENT, tell, np);
	return &np->base;
}
