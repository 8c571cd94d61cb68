/* LLDP: any frame, read alone and by a port; what was read once is written and read again. */
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/link/port.h"
#include "tests/fuzz/fuzz.h"

static void
send_nd(void *arg, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	(void)arg;
	(void)dst;
	(void)bytes;
	(void)n;
}

static void
send_frame(void *arg, const uint8_t *bytes, size_t n)
{
	struct lldp_info info;

	(void)arg;
	must(lldp_parse(bytes, n, &info) == LLDP_OK, "we understand what we send");
}

static void
neighbor(void *arg, const struct ip *addr, enum link_how how)
{
	(void)arg;
	(void)addr;
	(void)how;
	must(false, "LLDP alone never makes a neighbour");
}

static void
again(const struct lldp_info *info)
{
	struct lldp_advert a = { .port_name = info->port_name,
		.system_name = info->system_name,
		.ttl_s = info->ttl_s,
		.max_frame = info->max_frame,
		.ours = info->ours };
	uint8_t frame[LLDP_FRAME_MAX];
	struct lldp_info back;
	size_t n = lldp_build(frame, sizeof(frame), &a);

	if (!a.port_name[0])
		return; /* not a legal port id */
	must(lldp_parse(frame, n, &back) == LLDP_OK && memcmp(&back.ours, &info->ours, sizeof(back.ours)) == 0 &&
		 strcmp(back.system_name, info->system_name) == 0 && back.max_frame == info->max_frame,
	    "our own TLV reads back the same");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct link_ops ops = { .send_nd = send_nd, .send_frame = send_frame, .neighbor = neighbor };
	struct link_port *p = link_port_new(NULL, "eth1", NULL, NULL, &ops, NULL);
	struct link_status s = { .present = true, .admin_up = true, .carrier = true, .mac = { 2, 0, 0, 0, 0, 1 } };
	struct link_expect e = { .fabric = "lab", .node = "spine1", .port = "eth1" };
	struct lldp_info info;
	struct link_view v;
	struct mono now = { SECONDS(1) };

	memset(&info, 0, sizeof(info));
	link_port_status(p, &s, now);
	link_port_expect(p, &e, now);
	if (lldp_parse(data, n, &info) == LLDP_OK) {
		must_print(info.system_name);
		must_print(info.system_description);
		must_print(info.port_name);
		must_print(info.ours.node);
		again(&info);
	}
	link_port_frame(p, data, n, now);
	link_port_view(p, &v);
	must_print(v.mismatch);
	link_port_timer(p, mono_add(now, SECONDS(70000)));
	link_port_view(p, &v);
	must(!v.nlldp, "what is not heard again is forgotten");
	link_port_free(p);
	return 0;
}
