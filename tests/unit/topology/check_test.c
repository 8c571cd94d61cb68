/*
 * The rules of the language: for each at least one file that keeps it and one that breaks it. A case is an edit of one
 * of the files of tests/data/topology; `want` is part of the complaint, with its place.
 */
#include "tests/unit/topology/load.h"

#define ONE "schema: 1\nfabric: x\ntiers: [{name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24}]\n"
#define PODS_IN_FULL                                                                                                   \
	"schema: 1\nfabric: x\npods: 2\ntiers:\n  - {name: spine, count: 2, asn: 65000, loopback: 10.0.0.0/24}\n"      \
	"  - {name: leaf, per_pod: 2, asn: {base: 65000, pod_step: 10}, loopback: {pool: 10.1.0.0/16, pod_len: 24},"   \
	" up: {to: spine, local: \"a[1-2]\", remote: \"b[1-8]\"}}\n"
#define OUTSIDE                                                                                                        \
	"schema: 1\nfabric: x\ntiers: [{name: border, role: border, count: 1, asn: 65001, loopback: 10.0.0.0/24}]\n"   \
	"templates: {out: {asn: 64500}}\n"                                                                             \
	"external: [{at: \"border1:e1\", template: out, local: 192.0.2.1/31, peer: 192.0.2.0}]\n"
#define MIDDLE                                                                                                         \
	"schema: 1\nfabric: x\ntiers:\n  - {name: core, count: 2, asn: 65000, loopback: 10.0.0.0/24}\n"                \
	"  - {name: agg, count: 2, asn: 65001, loopback: 10.0.1.0/24, up: {to: core, local: \"a[1-2]\", remote: "      \
	"\"b[1-4]\"}}\n"                                                                                               \
	"  - {name: leaf, count: 2, asn: {base: 65100}, loopback: 10.0.2.0/24, up: {to: agg, local: \"a[1-2]\", "      \
	"remote: \"c[1-8]\"}}\n"

static const struct rule_case {
	const char *rule, *name;
	const char *base, *find, *with;
	const char *want; /* NULL: accepted */
} cases[] = {
	/* numbers */
	{ "names", "as they are", "4x2", "", "devices: {leaf3: {model: x}, spine1: {model: x}}\n", NULL },
	{ "names", "pods", "3tier-small", "", "devices: {p2-leaf1: {model: x}, super4: {model: x}}\n", NULL },
	{ "names", "zero-padded", "4x2", "", "devices: {leaf03: {model: x}}\n",
	    "numbers are written without zeros in front: leaf3" },
	{ "names", "beyond the count", "4x2", "", "devices: {leaf5: {model: x}}\n", "tier `leaf` has leaf1 to leaf4" },
	{ "names", "misspelt", "4x2", "", "devices: {laef3: {model: x}}\n", "did you mean leaf3?" },
	{ "names", "number 0", "4x2", "", "devices: {leaf0: {model: x}}\n", "there is no node `leaf0`" },
	{ "names", "pod missing", "3tier-small", "", "devices: {leaf1: {model: x}}\n", "there is no node `leaf1`" },
	{ "names", "pod 0", "3tier-small", "", "devices: {p0-leaf1: {model: x}}\n", "there is no node `p0-leaf1`" },
	{ "names", "tier called p1", "4x2", "name: spine", "name: p1", "f.yaml:5:12: error: `name` is \"p1\"" },
	{ "names", "tier called pp1", "4x2", "name: leaf", "name: pp1", NULL },
	{ "names", "upper case", "4x2", "name: spine", "name: Spine", "`name` is \"Spine\"" },
	{ "names", "a hyphen", "4x2", "name: spine", "name: sp-ine", "`name` is \"sp-ine\"" },
	{ "slots", "as many as slots", "4x2", "count: 4", "count: 32", NULL },
	{ "slots", "more than slots", "4x2", "count: 4", "count: 33",
	    "tier `leaf`: 33 nodes, but the port range in line 7 has slots for 32" },
	{ "slots", "more spines than leaf ports", "4x2", "count: 2", "count: 3",
	    "tier `spine`: 3 nodes, but the port range in line 7 has slots for 2" },
	{ "slots", "as many pods as slots", "dc1-500", "pods: 13", "pods: 32", NULL },
	{ "slots", "more pods than slots", "dc1-500", "pods: 13", "pods: 33",
	    "tier `spine`: 33 pods, but the port range in line" },
	{ "slots", "as many supers as slots", "3tier-small", "count: 4", "count: 4", NULL },
	{ "slots", "more supers than slots", "3tier-small", "count: 4", "count: 6", "tier `super`: 6 nodes, but" },
	/* pools */
	{ "pool size", "just enough", "4x2", "10.0.1.0/24, \"", "10.0.1.0/26, \"", NULL },
	{ "pool size", "held against slots", "4x2", "10.0.1.0/24, \"", "10.0.1.0/27, \"",
	    "pool 10.0.1.0/27 is too small: the port ranges reserve 32 nodes, it has numbers 1 to 31" },
	{ "pool size", "IPv6", "4x2", "fd00:0:0:1::/64", "fd00:0:0:1::/124", "pool fd00:0:0:1::/124 is too small" },
	{ "pool size", "racks", "4x2", "pool: 10.1.0.0/16, len: 24", "pool: 10.1.0.0/20, len: 24",
	    "racks: pool 10.1.0.0/20 is too small" },
	{ "pool size", "pods", "dc1-500", "10.254.0.0/16, pod_len: 24", "10.254.0.0/20, pod_len: 24",
	    "reserve 32 pods, it has numbers 1 to 15" },
	{ "pool size", "nodes of a pod", "dc1-500", "pool: 10.250.0.0/16, pod_len: 24",
	    "pool: 10.250.0.0/16, pod_len: 28", "reserve 32 nodes in each pod, it has numbers 1 to 15" },
	{ "routed host ports", "just room", "4x2", "hosts: {ports: \"eth[3-6]\", racks: [{pool: 10.1.0.0/16, len: 24}",
	    "hosts: {bridge: none, ports: \"eth[3-6]\", racks: [{pool: 10.1.0.0/16, len: 27}", NULL },
	{ "routed host ports", "no room", "4x2", "hosts: {ports: \"eth[3-6]\", racks: [{pool: 10.1.0.0/16, len: 24}",
	    "hosts: {bridge: none, ports: \"eth[3-6]\", racks: [{pool: 10.1.0.0/16, len: 28}",
	    "a rack of /28 has no room for a network on each of 4 routed host ports" },
	{ "pool form", "no len", "4x2", "{pool: 10.1.0.0/16, len: 24}", "10.1.0.0/16", "write {pool: ..., len: 24}" },
	{ "pool form", "len shorter than the pool", "4x2", "len: 24", "len: 8", "`len` 8 is not between /16 and /32" },
	{ "pool form", "len above 32", "4x2", "len: 24", "len: 40", "`len` 40 is not between /16 and /32" },
	{ "pool form", "len of a loopback", "dc1-500", "{pool: 10.254.0.0/16, pod_len: 24}",
	    "{pool: 10.254.0.0/16, pod_len: 24, len: 31}", "`len` is always 32 here" },
	{ "pool form", "len 32 of a loopback", "dc1-500", "{pool: 10.254.0.0/16, pod_len: 24}",
	    "{pool: 10.254.0.0/16, pod_len: 24, len: 32}", NULL },
	{ "pool form", "pod_len missing", "dc1-500", "{pool: 10.254.0.0/16, pod_len: 24}", "10.254.0.0/16",
	    "`pod_len` is missing" },
	{ "pool form", "pod_len without pods", "4x2", "10.0.0.0/24,", "{pool: 10.0.0.0/16, pod_len: 24},",
	    "`pod_len` is for tiers with `per_pod`" },
	{ "pool form", "host bits", "4x2", "10.1.0.0/16", "10.1.1.0/16", "the network is 10.1.0.0/16" },
	{ "pool form", "multicast", "4x2", "10.0.0.0/24,", "224.0.0.0/24,", "pool 224.0.0.0/24 meets 224.0.0.0/3" },
	{ "pool form", "link-local", "4x2", "fd00:1::/48", "fe80::/48", "link-local" },
	{ "one pool per family", "both", "4x2", "", "", NULL },
	{ "one pool per family", "two of IPv4", "4x2", "\"fd00:0:0:0::/64\"", "10.9.0.0/24", "a second IPv4 pool" },
	{ "one pool per family", "two racks", "4x2", "{pool: \"fd00:1::/48\", len: 64}", "{pool: 10.9.0.0/16, len: 24}",
	    "tier `leaf`, racks: a second IPv4 pool" },
	{ "pools overlap", "side by side", "4x2", "10.0.0.0/24,", "10.0.2.0/24,", NULL },
	{ "pools overlap", "loopbacks", "4x2", "10.0.0.0/24,", "10.0.0.0/16,",
	    "overlapping pools: 10.0.1.0/24 (loopback of tier `leaf`) and 10.0.0.0/16 (loopback of tier `spine`) in "
	    "line 5" },
	{ "pools overlap", "racks", "4x2", "pool: 10.1.0.0/16", "pool: 10.0.0.0/16",
	    "overlapping pools: 10.0.0.0/16 (racks" },
	{ "pools overlap", "IPv6", "4x2", "fd00:1::/48", "fd00::/48", "overlapping pools: fd00::/48" },
	{ "pools overlap", "external", "border", "local: 192.0.2.1/31, peer: 192.0.2.0",
	    "local: 10.0.2.1/31, peer: 10.0.2.0", "the network 10.0.2.0/31 overlaps the pool 10.0.2.0/24" },
	{ "pools overlap", "what hosts announce", "border", "accept: 10.64.0.0/12 le 32", "accept: 10.0.0.0/8 le 32",
	    "hosts could announce 10.0.0.0/8" },
	/* AS */
	{ "AS forms", "by number", "4x2", "", "", NULL },
	{ "AS forms", "per pod and step", "3tier-small", "", "", NULL },
	{ "AS forms", "step above the slots", "3tier-small", "pod_step: 100", "pod_step: 5", NULL },
	{ "AS forms", "step not above the slots", "3tier-small", "pod_step: 100", "pod_step: 4", "take 5 or more" },
	{ "AS forms", "per and step", "3tier-small", "pod_step: 100", "per: pod, pod_step: 100", "exclude each other" },
	{ "AS forms", "per pod without pods", "4x2", "{base: 65000}", "{base: 65000, per: pod}",
	    "tier `leaf` is not in pods" },
	{ "AS forms", "step without pods", "4x2", "{base: 65000}", "{base: 65000, pod_step: 100}",
	    "tier `leaf` is not in pods" },
	{ "AS forms", "per rack", "3tier-small", "per: pod", "per: rack",
	    "`rack` is not known here; `per` is one of: pod" },
	{ "AS forms", "no base", "4x2", "{base: 65000}", "{}", "`asn` needs the key `base`" },
	{ "AS forms", "one for a tier in the middle", MIDDLE, "", "", NULL },
	{ "AS ranges", "one number in both", "4x2", "{base: 65000}", "{base: 64999}", "AS clash" },
	{ "AS ranges", "clash over the slots only", "4x2", "asn: 65000", "asn: 65020",
	    "AS clash: tier `leaf` has 65001-65032 over all its slots, tier `spine` in line 5 has 65020" },
	{ "AS ranges", "above the slots", "4x2", "asn: 65000", "asn: 65033", NULL },
	{ "AS ranges", "hosts", "border", "asn: 65500-65534", "asn: 65028-65534",
	    "AS clash: hosts of tier `leaf` have 65028-65534" },
	{ "AS ranges", "a neighbour's", "border", "asn: 64500,", "asn: 65201,",
	    "AS clash: 65201 belongs to tier `border`" },
	{ "public AS", "not said", "4x2", "asn: 65000", "asn: 3320", "AS number 3320 is not private" },
	{ "public AS", "said", "4x2", "asn: 65000", "asn: 3320", "allow_public_asn: true" },
	{ "public AS", "allowed", ONE, "schema: 1\n", "schema: 1\nallow_public_asn: true\n", NULL },
	{ "public AS", "a public one, allowed", "allow_public_asn: true\n" ONE, "asn: 65001", "asn: 3320", NULL },
	{ "public AS", "range leaves the private", "4x2", "{base: 65000}", "{base: 65510}",
	    "65535, which is reserved" },
	/* router ids */
	{ "router id", "the IPv4 loopback", "4x2", "", "", NULL },
	{ "router id", "IPv6 only", "4x2", "loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]",
	    "loopback: \"fd00:0:0:0::/64\"", "add `router_id: POOL` to the tier" },
	{ "router id", "IPv6 only, with a pool", "4x2", "loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]",
	    "loopback: \"fd00:0:0:0::/64\", router_id: 10.0.0.0/24", NULL },
	{ "router id", "an IPv6 pool", "4x2", "loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]",
	    "loopback: \"fd00:0:0:0::/64\", router_id: \"fd00:5::/64\"", "needs an IPv4 pool" },
	{ "router id", "two sources", "4x2", "count: 2,", "count: 2, router_id: 10.7.0.0/24,", "remove `router_id`" },
	{ "router id", "pool used twice", "4x2", "loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]",
	    "loopback: \"fd00:0:0:0::/64\", router_id: 10.0.1.0/24", "overlapping pools" },
	{ "router id", "no loopback", "4x2", "loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]", "role: border",
	    "a tier needs the key `loopback`" },
	{ "router id", "foreign, no loopback", "4x2", "loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]", "vendor: other",
	    NULL },
	/* wiring */
	{ "tiers", "count and per_pod", "3tier-small", "count: 4", "count: 4, per_pod: 2",
	    "tier `super` has both `count` and `per_pod`" },
	{ "tiers", "neither", "4x2", "count: 4, ", "", "needs one of `count` and `per_pod`" },
	{ "tiers", "per_pod without pods", "4x2", "count: 4", "per_pod: 4", "`per_pod` without `pods`" },
	{ "tiers", "pods without per_pod", "4x2", "fabric: lab\n", "fabric: lab\npods: 2\n",
	    "`pods` without a tier that has `per_pod`" },
	{ "tiers", "one tier", "4x2", "  - {name: spine", "  #",
	    "`up.to` names a tier `spine` that is not in the file" },
	{ "tiers", "one switch", ONE, "", "", NULL },
	{ "tiers", "two switches that nothing joins", ONE, "count: 1", "count: 2", "leaf2 is unreachable" },
	{ "tiers", "order is for display", "3tier-small", "", "", NULL },
	{ "up", "to a misspelt tier", "4x2", "to: spine", "to: spnie", "did you mean `spine`?" },
	{ "up", "to itself", "4x2", "to: spine", "to: leaf", "tier `leaf` goes up to itself" },
	{ "up", "in a circle", "4x2", "\"fd00:0:0:0::/64\"]}",
	    "\"fd00:0:0:0::/64\"], up: {to: leaf, local: \"a[1-4]\", remote: \"b[1-2]\"}}", "tiers go up in a circle" },
	{ "up", "from count to pods", "3tier-small",
	    "  - {name: leaf, per_pod: 2, asn: {base: 4200000000, pod_step: 100}",
	    "  - {name: leaf, count: 2, asn: {base: 4200000000}",
	    "tier `leaf` is not in pods, but goes up to `spine`, which is" },
	{ "up", "as it is", "4x2", "", "", NULL },
	{ "planes", "as they are", "3tier-small", "", "", NULL },
	{ "planes", "not said", "3tier-small", "planes: 2\n", "", "`pattern: plane` without `planes`" },
	{ "planes", "per_pod differs", "3tier-small", "planes: 2", "planes: 4", "needs per_pod = planes" },
	{ "planes", "asymmetric striping", "dc1-500", "count: 32", "count: 31",
	    "striping would be asymmetric: 31 nodes of tier `super` do not divide into 4 planes" },
	{ "planes", "between tiers of count", "4x2", "to: spine", "to: spine, pattern: plane",
	    "`pattern: plane` without `planes`" },
	{ "planes", "within the pod", "3tier-small", "to: spine", "to: spine, pattern: plane",
	    "goes from a tier with `per_pod` to one with `count`" },
	{ "full from pods", "W from below", "3tier-small",
	    "up: {to: super, pattern: plane, local: \"eth[5-6]\", remote: \"eth[1-8]\"}",
	    "up: {to: super, local: \"eth[5-8]\", remote: \"eth[1-8]\"}", NULL },
	{ "full from pods", "nothing below", PODS_IN_FULL, "", "",
	    "nothing says how many slots of `remote` each pod of tier `leaf` takes" },
	{ "links", "two of each", "4x2", "up: {to: spine, local: \"eth[1-2]\"",
	    "up: {to: spine, links: 2, local: \"eth[7-10]\"", NULL },
	{ "links", "too few slots", "4x2", "up: {to: spine,", "up: {to: spine, links: 2,",
	    "tier `spine`: 2 nodes, but the port range in line 7 has slots for 1" },
	{ "ranges disjoint", "as they are", "border", "", "", NULL },
	{ "ranges disjoint", "two tiers below", "border", "remote: \"swp[31-32]\"", "remote: \"swp[28-32]\"",
	    "port swp28 of tier `spine` is taken twice: for a tier below here, for a tier below in line" },
	{ "ranges disjoint", "hosts and uplinks", "4x2", "eth[3-6]", "eth[2-6]",
	    "port eth2 of tier `leaf` is taken twice: for hosts here, for uplinks in line 7" },
	{ "ranges disjoint", "external and hosts", "border", "at: \"border1:swp1\"", "at: \"leaf1:swp1\"",
	    "leaf1:swp1 is a reserved port: its range is for hosts" },
	{ "ranges disjoint", "within one range", "4x2", "eth[3-6]", "eth[1,11][1,11]", "gives port eth111 twice" },
	{ "ranges disjoint", "without quotes", "4x2", "\"eth[3-6]\"", "eth[3-6]",
	    "stands in quotes, like \"eth[1-4]\"" },
	{ "pool size", "a rack without room for a host", "4x2", "len: 24", "len: 31",
	    "a rack of /31 has no room for a gateway and a host" },
	{ "pool size", "a rack without room, IPv6", "4x2", "len: 64", "len: 127", "take /126 or shorter" },
	{ "pool size", "a rack with just room", "4x2", "len: 24", "len: 30", NULL },
	{ "durations", "no unit", "4x2", "", "timers: {hold: 9}\n", "did you mean `9s`?" },
	{ "durations", "bounds", "4x2", "", "timers: {hold: 2s}\n", "from 3s to 65535s" },
	{ "port names", "15 characters", "4x2", "eth[3-6]", "abcdefghijklm[10-13]", NULL },
	{ "port names", "16 characters", "4x2", "eth[3-6]", "abcdefghijklmn[10-13]",
	    "an interface name has at most 15 characters" },
	/* exceptions */
	{ "drop", "either order", "border", "leaf3:swp50 -- spine2:swp3", "spine2:swp3 -- leaf3:swp50", NULL },
	{ "drop", "no such link", "border", "leaf3:swp50 -- spine2:swp3", "leaf3:swp50 -- spine2:swp4",
	    "leaf3:swp50 goes to spine2:swp3" },
	{ "drop", "a port in no range", "border", "leaf3:swp50 -- spine2:swp3", "leaf3:swp99 -- spine2:swp3",
	    "leaf3:swp99 is in no range" },
	{ "drop", "a slot without a node", "border", "leaf3:swp50 -- spine2:swp3", "spine1:swp20 -- leaf3:swp50",
	    "spine1:swp20 is in a range, but has no far end" },
	{ "drop", "no such node", "border", "leaf3:swp50 -- spine2:swp3", "leaf33:swp50 -- spine2:swp3",
	    "tier `leaf` has leaf1 to leaf16" },
	{ "drop", "no link at all", "border", "leaf3:swp50 -- spine2:swp3", "leaf3:swp50", "is not a link" },
	{ "drop", "twice", "border", "except:", "except:\n  - {drop: \"leaf3:swp50 -- spine2:swp3\", why: x}\n  #",
	    "is dropped twice" },
	{ "add", "as it is", "border", "", "", NULL },
	{ "add", "a reserved slot", "border", "spine2:swp30", "spine2:swp20",
	    "spine2:swp20 is a reserved port: its range is for the tier below" },
	{ "add", "the port of the dropped link", "border", "leaf3:swp53", "leaf3:swp50",
	    "leaf3:swp50 is a reserved port" },
	{ "add", "between tiers without up", "border", "spine2:swp30", "border1:swp30",
	    "leaf3 and border1 are not in tiers that are joined by `up`" },
	{ "add", "no why", "border", "spine2:swp30\", why: RMA-4711", "spine2:swp30\"",
	    "an exception needs the key `why`" },
	{ "add", "drop and add in one", "border", "{add: \"leaf3",
	    "{drop: \"leaf4:swp50 -- spine2:swp4\", add: \"leaf3", "an exception has one of `drop` and `add`" },
	{ "min_uplinks", "enough after the exceptions", "border", "", "policy: {min_uplinks: 4}\n", NULL },
	{ "min_uplinks", "too few everywhere: one error", "border", "", "policy: {min_uplinks: 9}\n",
	    "leaf1, leaf2, leaf3 and 13 more have 4 uplinks after all exceptions, below min_uplinks 9" },
	{ "min_uplinks", "too few by default: the place is the tier's", "4x2", "",
	    "except:\n  - {drop: \"leaf2:eth1 -- spine1:eth2\", why: x}\n  - {drop: \"leaf2:eth2 -- spine2:eth2\", "
	    "why: "
	    "x}\n",
	    ":6:5: error: leaf2 has 0 uplinks after all exceptions, below min_uplinks 1" },
	{ "min_uplinks", "too few after a drop", "border",
	    "  - {add: \"leaf3:swp53 -- spine2:swp30\", why: RMA-4711}\n", "policy: {min_uplinks: 4}\n",
	    "leaf3 has 3 uplinks after all exceptions, below min_uplinks 4" },
	{ "reachable", "as it is", "4x2", "", "", NULL },
	{ "reachable", "all links dropped", "4x2", "",
	    "policy: {min_uplinks: 0}\nexcept:\n  - {drop: \"leaf2:eth1 -- spine1:eth2\", why: x}\n  - {drop: "
	    "\"leaf2:eth2 -- spine2:eth2\", why: x}\n",
	    "leaf2 is unreachable" },
	{ "reachable", "a tier without up", "4x2", "", "x-a: b\n", NULL },
	{ "reachable", "two tiers that nothing joins", "4x2",
	    "     up: {to: spine, local: \"eth[1-2]\", remote: \"eth[1-32]\"},", "", "is unreachable" },
	/* states, devices */
	{ "states", "all three", "4x2", "",
	    "devices: {leaf1: {state: planned}, leaf2: {state: drained}, leaf3: {state: active}}\n", NULL },
	{ "states", "another", "4x2", "", "devices: {leaf1: {state: broken}}\n",
	    "`state` is one of: active, planned, drained" },
	{ "devices", "MACs in three spellings", "all-keys", "", "", NULL },
	{ "devices", "no MAC", "4x2", "", "devices: {leaf1: {mac: \"52:54:00:12:34\"}}\n", "a MAC address" },
	{ "devices", "a group's MAC", "4x2", "", "devices: {leaf1: {mac: \"0300.5e00.0001\"}}\n",
	    "the address of one device, not of a group" },
	{ "devices", "no MAC at all", "4x2", "", "devices: {leaf1: {mac: \"00-00-00-00-00-00\"}}\n", "nor zero" },
	{ "devices", "mixed spelling", "4x2", "", "devices: {leaf1: {mac: \"52:54-00:12:34:56\"}}\n", "a MAC address" },
	{ "devices", "one MAC twice", "4x2", "",
	    "devices:\n  leaf1: {mac: \"52:54:00:aa:bb:cc\"}\n  leaf2: {mac: \"5254.00AA.BBCC\"}\n",
	    "two devices have the MAC 52:54:00:aa:bb:cc" },
	{ "devices", "one serial twice", "4x2", "", "devices: {leaf1: {serial: a}, leaf2: {serial: a}}\n",
	    "two devices have the serial number a" },
	/* externals */
	{ "external", "as it is", "border", "", "", NULL },
	{ "external", "all keys", "all-keys", "", "", NULL },
	{ "external", "no node", "border", "at: \"border1:swp1\"", "at: \"border3:swp1\"",
	    "tier `border` has border1 to border2" },
	{ "external", "no port", "border", "at: \"border1:swp1\"", "at: border1", "`border1` is not NODE:PORT" },
	{ "external", "uplink port", "border", "at: \"border1:swp1\"", "at: \"border1:swp29\"",
	    "border1:swp29 is a reserved port: its range is for its uplinks, and it goes to spine1:swp31" },
	{ "external", "other network", "border", "peer: 192.0.2.0", "peer: 192.0.2.9",
	    "`peer` is not on the network of `local`, 192.0.2.0/31" },
	{ "external", "same address", "border", "peer: 192.0.2.0", "peer: 192.0.2.1",
	    "`peer` is the same address as `local`" },
	{ "external", "two families", "border", "peer: 192.0.2.0", "peer: \"2001:db8::1\"", "of different families" },
	{ "external", "unknown template", "all-keys", "template: transit", "template: transti",
	    "there is no template `transti`" },
	{ "external", "two of one name", "all-keys", "name: ix-rs2", "name: ix-rs1",
	    "two sessions are called `ix-rs1`" },
	{ "external", "name of a switch", "all-keys", "name: ix-rs2", "name: p1-leaf1",
	    "`p1-leaf1` is the name of a switch" },
	{ "external", "one peer twice", "all-keys", "\"2001:db8:1::3\"", "\"2001:db8:1::1\"",
	    "a second session to this peer on p2-border1:swp1" },
	{ "external", "prefixes without a file", "all-keys", "prefixes: ix-rs1.json, ", "",
	    "the session names no file" },
	{ "external", "a key with a path", "border", "auth: isp-a.key", "auth: ../isp-a.key",
	    "a file's name without a path" },
	{ "external", "community too large", "all-keys", "64500:100", "65536:100", "a community like" },
	{ "external", "in: all", "border", "in: default", "in: all",
	    "`in` is one of: default, full, prefixes, aggregates" },
	{ "services", "owners", "all-keys", "", "", NULL },
	{ "services", "unknown owner", "all-keys", "owners: [p1-leaf3", "owners: [p1-leaf9", "did you mean p1-leaf1?" },
	{ "services", "two owners, not anycast", "all-keys", "anycast: true", "anycast: false",
	    "a service with several owners is anycast" },
	/* prefixes with lengths, durations, shares */
	{ "le and ge", "le", "border", "10.64.0.0/12 le 32", "10.64.0.0/12 le 24", NULL },
	{ "le and ge", "ge", "border", "10.64.0.0/12 le 32", "10.64.0.0/12 ge 24", NULL },
	{ "le and ge", "both, in a list", "border", "10.64.0.0/12 le 32",
	    "[10.64.0.0/12 ge 24 le 28, \"fd00:64::/32 le 128\"]", NULL },
	{ "le and ge", "le above 32", "border", "10.64.0.0/12 le 32", "10.64.0.0/12 le 33",
	    "a network whose lengths rise" },
	{ "le and ge", "ge below the length", "border", "10.64.0.0/12 le 32", "10.64.0.0/12 ge 8",
	    "a network whose lengths rise" },
	{ "le and ge", "ge above le", "border", "10.64.0.0/12 le 32", "10.64.0.0/12 ge 28 le 24",
	    "a network whose lengths rise" },
	{ "le and ge", "eq", "border", "10.64.0.0/12 le 32", "10.64.0.0/12 eq 24", "a network with lengths" },
	{ "le and ge", "le twice", "border", "10.64.0.0/12 le 32", "10.64.0.0/12 le 24 le 25",
	    "a network with lengths" },
	{ "durations", "ms, s, m, h", "4x2", "",
	    "timers: {bfd: 5x20ms, hold: 1m, restart: 120s, damping: {half_life: 1h}}\n", NULL },
	{ "durations", "no unit", "4x2", "", "timers: {hold: 9}\n",
	    "a time with its unit (ms, s, m, h), from 3s to 65535s" },
	{ "durations", "two seconds of hold", "4x2", "", "timers: {hold: 2s}\n", "a time with its unit" },
	{ "durations", "hold of 3.5 s", "4x2", "", "timers: {hold: 3500ms}\n", "whole seconds (RFC 4271 4.2)" },
	{ "durations", "days", "4x2", "", "timers: {hold: 1d}\n", "a time with its unit" },
	{ "durations", "BFD without x", "4x2", "", "timers: {bfd: 150ms}\n", "MULTIPLIERxINTERVAL" },
	{ "durations", "BFD times 0", "4x2", "", "timers: {bfd: 0x50ms}\n", "MULTIPLIERxINTERVAL" },
	{ "shares", "0%", "4x2", "", "policy: {max_load_after_drain: 0%}\n", NULL },
	{ "shares", "100%", "4x2", "", "policy: {max_load_after_drain: 100%}\n", NULL },
	{ "shares", "101%", "4x2", "", "policy: {max_load_after_drain: 101%}\n", "a share from 0% to 100%" },
	{ "shares", "no %", "4x2", "", "policy: {max_load_after_drain: 90}\n", "a share from 0% to 100%" },
	{ "AS ranges", "two tiers of hosts may share theirs", "border", "role: border,",
	    "role: border, hosts: {bgp: {asn: 65500-65534, accept: 10.64.0.0/12 le 32}},", NULL },
	{ "durations", "BFD times 256", "4x2", "", "timers: {bfd: 256x50ms}\n", "MULTIPLIERxINTERVAL" },
	{ "durations", "BFD times 255", "4x2", "", "timers: {bfd: 255x50ms}\n", NULL },
	/* types */
	{ "types", "a truth value", "4x2", "", "kernel_compat: on\n", NULL },
	{ "types", "yes for true", "4x2", "", "kernel_compat: yes\n",
	    "`kernel_compat` is \"yes\"; it must be true or false" },
	{ "types", "a list for a word", "4x2", "", "ecmp: {weights: [off]}\n", "`weights` must be one word" },
	{ "types", "a word for a list", "4x2", "", "listen: {bmp: \"a:1\"}\n", "`bmp` is \"a:1\"; it must be a list" },
	{ "types", "a list for a network", "all-keys", "10.64.1.0/24, owners", "[10.64.1.0/24], owners",
	    "`prefix` must be a network" },
	{ "types", "a map in a list of networks", "border", "accept: 10.64.0.0/12 le 32", "accept: [{a: b}]",
	    "`accept` must be a network" },
	{ "types", "no network", "border", "accept: 10.64.0.0/12 le 32", "accept: [10.64 le 32]",
	    "`accept` is \"10.64\"; it must be a network" },
	{ "types", "le without number", "border", "accept: 10.64.0.0/12 le 32", "accept: 10.64.0.0/12 le x",
	    "a network with lengths" },
	{ "types", "no address", "border", "peer: 192.0.2.0", "peer: 192.0.2", "it must be an address, like" },
	{ "types", "no length", "border", "local: 192.0.2.1/31", "local: 192.0.2.1",
	    "an address with the length of its network" },
	{ "types", "no pools", "4x2", "loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]", "loopback: []",
	    "the list is empty" },
	{ "types", "AS range of words", "border", "asn: 65500-65534", "asn: many", "an AS number or a range of them" },
	{ "types", "AS range backwards", "border", "asn: 65500-65534", "asn: 65534-65500",
	    "an AS number or a range of them" },
	{ "types", "one AS", "border", "asn: 65500-65534", "asn: 65500", NULL },
	{ "types", "a list of ranges", "4x2", "\"eth[3-6]\"", "[\"eth[3-6]\"]", "`ports` must be a range of ports" },
	{ "types", "a bad range", "4x2", "eth[3-6]", "eth[6-3]", "`ports`: a range that runs backwards" },
	{ "types", "IPv6 endpoint with a port only", "4x2", "", "listen: {web: \"[::1]\"}\n", "HOST:PORT" },
	{ "types", "an IPv4 address in brackets", "4x2", "", "listen: {web: \"[127.0.0.1]:1\"}\n", "HOST:PORT" },
	{ "types", "a large community with four parts", "all-keys", "64500:1:2", "64500:1:2:3", "a community like" },
	{ "types", "a community with a hole", "all-keys", "64500:1:2", "64500::2", "a community like" },
	{ "types", "restart of 1.5 s", "4x2", "", "timers: {restart: 1500ms}\n", "`restart` is in whole seconds" },
	{ "types", "pod_len longer than len", "dc1-500", "pod_len: 20, len: 26", "pod_len: 27, len: 26",
	    "`pod_len` 27 is not between /11 and /26" },
	{ "types", "a multicast source", "all-keys", "source: 10.253.1.1", "source: 224.0.0.1",
	    "`source` cannot be the source of packets" },
	{ "types", "local_as of the neighbour", "all-keys", "local_as: 64502", "local_as: 64501",
	    "`local_as` is the neighbour's own AS" },
	{ "types", "a long port in an exception", "border", "leaf3:swp53", "leaf3:abcdefghijklmnop",
	    "an interface name has at most 15 characters" },
	{ "types", "a text with a line end in a message", "4x2", "", "\"a\\nb\": 1\n",
	    "`a?b` is not a key of the file" },
	{ "schema", "1", "4x2", "", "", NULL },
	{ "schema", "2", "4x2", "schema: 1", "schema: 2", "`schema` must be 1" },
	{ "schema", "missing", "4x2", "schema: 1\n", "", "the file needs the key `schema`" },
	{ "other keys", "x-", "4x2", "", "x-owner: {a: [b]}\n", NULL },
	{ "other keys", "y-", "4x2", "", "y-owner: a\n", "`y-owner` is not a key of the file" },
	{ "other keys", "no value", "4x2", "", "mtu:\n", "`mtu` has no value" },
	{ "other keys", "listen", "4x2", "",
	    "listen: {web: \"[::1]:80\", bmp: [\"a.example:1\"]}\nrpki: {caches: []}\n", NULL },
	{ "other keys", "port 0", "4x2", "", "listen: {web: \"127.0.0.1:0\"}\n", "HOST:PORT" },
	{ "other keys", "a map for a word", "4x2", "fabric: lab", "fabric: {a: b}", "`fabric` must be a name" },
	{ "other keys", "a word for a map", "4x2", "", "timers: fast\n", "`timers` is a map of keys" },
	{ "other keys", "a map for a list", "4x2", "", "except: {drop: a}\n", "`except` is a list" },
	{ "other keys", "a list for names", "4x2", "", "devices: [leaf1]\n", "`devices` is a map from names" },
	{ "other keys", "an empty list of tiers", "4x2", "tiers:", "tiers: []\nx-a:", "`tiers` is empty" },
};

static char *
text_of(const struct rule_case *c)
{
	char *text = strchr(c->base, ':') ? strdup(c->base) : data(c->base);

	return edited(text, c->find, c->with);
}

static char *
all_errors_of(const struct rule_case *c)
{
	char *text = text_of(c), *got = all_errors(text, strlen(text));

	free(text);
	return got;
}

static void
run(const struct rule_case *c)
{
	char *got = all_errors_of(c);

	if (c->want ? !strstr(got, c->want) : strstr(got, ": error: ") != NULL)
		fail_msg("%s, %s: wanted \"%s\", got: %s", c->rule, c->name, c->want ? c->want : "no error", got);
	free(got);
}

static void
rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		run(&cases[i]);
}

static void
each_rule_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool kept = false, broken = false;

		for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
			if (strcmp(cases[k].rule, cases[i].rule) != 0)
				continue;
			kept |= cases[k].want == NULL;
			broken |= cases[k].want != NULL;
		}
		if (!kept || !broken)
			fail_msg("rule \"%s\" has no %s case", cases[i].rule, kept ? "refusing" : "accepting");
	}
}

/* Things that may stand once, standing twice: both places are named. */
static void
test_C02_duplicates(void **state)
{
	static const struct rule_case twice[] = {
		{ "C02", "node name", "4x2", "name: leaf", "name: spine",
		    "f.yaml:6:12: error: two tiers are called `spine`; every node's name would stand for two nodes"
		    "" },
		{ "C02", "node name by its number", "4x2", "name: leaf", "name: spine1",
		    "tiers `spine` and `spine1` share node names: spine11 would be a node of both" },
		{ "C02", "AS number", "4x2", "asn: 65000", "asn: 65003",
		    "AS clash: tier `leaf` has 65001-65032 over all its slots, "
		    "tier `spine` in line 5 has 65003" },
		{ "C02", "router id", "4x2", "10.0.1.0/24, \"", "10.0.0.0/24, \"",
		    "overlapping pools: 10.0.0.0/24 (loopback of tier `leaf`) and 10.0.0.0/24 (loopback of tier "
		    "`spine`) in line 5"
		    "" },
		{ "C02", "link end", "border", "", "", "spine2:swp30 is taken already, in line 16" },
		{ "C02", "link to itself", "4x2", "", "except: [{add: \"leaf1:eth7 -- leaf1:eth8\", why: x}]\n",
		    "f.yaml:9:16: error: the link joins leaf1 to itself" },
		{ "C02", "unknown port", "4x2", "", "except: [{drop: \"leaf1:eth9 -- spine1:eth1\", why: x}]\n",
		    "f.yaml:9:17: error: there is no link leaf1:eth9 -- spine1:eth1 to drop" },
		{ "C02", "two links on one port", "4x2", "eth[3-6]", "eth[2-6]",
		    "f.yaml:8:21: error: port eth2 of tier `leaf` is taken twice: for hosts here, for uplinks in line "
		    "7" },
		{ "C02", "key", "4x2", "count: 4", "count: 4, count: 5", "also in line 6" },
		{ "C02", "count and per_pod", "4x2", "count: 4", "count: 4, per_pod: 4",
		    "f.yaml:6:37: error: tier `leaf` has both `count` and `per_pod`" },
		{ "C02", "aggregate", "border", "aggregates: [10.32.0.0/16, 10.64.0.0/12]",
		    "aggregates:\n  - 10.32.0.0/16\n  - 10.64.0.0/12\n  - 10.32.0.0/16\n",
		    "f.yaml:16:5: error: 10.32.0.0/16 stands a second time in `aggregates`; it is also in line 14" },
		{ "C02", "aggregate in another spelling", "4x2", "",
		    "aggregates: [\"fd00:1::/48\", \"FD00:1:0::/48\"]\n",
		    "f.yaml:9:29: error: FD00:1:0::/48 stands a second time in `aggregates`; it is also in line 9" },
		{ "C02", "what hosts announce", "border", "accept: 10.64.0.0/12 le 32",
		    "accept: [10.64.0.0/12 le 32, 10.64.0.0/12 ge 12 le 32]",
		    "10.64.0.0/12 ge 12 le 32 stands a second time in `accept`" },
		{ "C02", "what a session originates", "all-keys", "originate: [10.64.0.0/16]",
		    "originate: [10.64.0.0/16, 10.65.0.0/16, 10.64.0.0/16]",
		    "10.64.0.0/16 stands a second time in `originate`" },
		{ "C02", "community", "all-keys", "\"64500:1:2\", no-export", "\"64500:100\", no-export",
		    "64500:100 stands a second time in `communities`" },
		{ "C02", "owner", "all-keys", "owners: [p1-leaf3, p1-leaf4]", "owners: [p1-leaf3, p1-leaf3]",
		    "p1-leaf3 stands a second time in `owners`" },
		{ "C02", "service", "all-keys", "services: [",
		    "services: [{prefix: 10.64.1.0/24, owners: [p1-leaf1]}, ",
		    "a second service 10.64.1.0/24; it is also in line" },
		{ "C02", "collector", "all-keys", "bmp: [\"collector.example:5000\"]",
		    "bmp: [\"collector.example:5000\", \"collector.example:5000\"]",
		    "collector.example:5000 stands a second time in `bmp`" },
		{ "C02", "own address on two ports", "border", "aggregates:",
		    "  - {at: \"border1:swp2\", asn: 64501, local: 192.0.2.1/30, peer: 192.0.2.2}\naggregates:",
		    "f.yaml:13:45: error: border1 has the address 192.0.2.1 on two ports: on swp2 here, on swp1 in "
		    "line "
		    "12" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(twice); i++) {
		struct rule_case c = twice[i];
		char *note;
		bool both;

		if (strcmp(c.name, "link end") == 0) {
			c.find = "devices:";
			c.with = "  - {add: \"leaf4:swp53 -- spine2:swp30\", why: x}\ndevices:";
		}
		run(&c);
		note = all_errors_of(&c);
		both = strcmp(c.name, "link to itself") != 0 && strcmp(c.name, "unknown port") != 0;
		if (both && !strstr(note, ": note: the other place\n"))
			fail_msg("%s: the other place is not named: %s", c.name, note);
		free(note);
	}
}

/* Lists that say a thing twice in two ways that differ, and addresses that may stand on several ports. */
static void
no_duplicates(void **state)
{
	static const struct rule_case once[] = {
		{ "once", "an aggregate of another", "border", "aggregates: [10.32.0.0/16,",
		    "aggregates: [10.32.0.0/16, 10.32.0.0/17,", NULL },
		{ "once", "other lengths", "border", "accept: 10.64.0.0/12 le 32",
		    "accept: [10.64.0.0/12 le 24, 10.64.0.0/12 ge 28]", NULL },
		{ "once", "both sessions of a port from one address", "all-keys", "", "", NULL },
		{ "once", "a link-local address on two ports", "border", "aggregates:",
		    "  - {at: \"border1:swp2\", asn: 64501, local: \"fe80::1/64\", peer: \"fe80::2\"}\n"
		    "  - {at: \"border1:swp3\", asn: 64501, local: \"fe80::1/64\", peer: \"fe80::2\"}\naggregates:",
		    NULL },
		{ "once", "the same network at two switches", "border", "aggregates:",
		    "  - {at: \"border2:swp1\", asn: 64501, local: 192.0.2.1/31, peer: 192.0.2.0}\naggregates:", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(once); i++)
		run(&once[i]);
}

/* Each fault is one error: nothing is told that only follows from another one. */
static void
one_error_each(void **state)
{
	static const struct rule_case faults[] = {
		{ "once", "count and per_pod", "4x2", "count: 4", "count: 4, per_pod: 4", "has both" },
		{ "once", "count and per_pod, of who goes up to pods", "3tier-small", "name: leaf, per_pod: 2",
		    "name: leaf, count: 2, per_pod: 2", "has both" },
		{ "once", "no count, and planes", "3tier-small", "name: super, count: 4", "name: super",
		    "needs one of `count` and `per_pod`" },
		{ "once", "pods missing", "3tier-small", "pods: 2\n", "", "`per_pod` without `pods`" },
		{ "once", "pods unreadable", "3tier-small", "pods: 2\n", "pods: three\n", "`pods` is \"three\"" },
		{ "once", "pods misspelt", "3tier-small", "pods: 2\n", "pdos: 3\n", "did you mean `pods`?" },
		{ "once", "planes unreadable", "3tier-small", "planes: 2\n", "planes: two\n", "`planes` is \"two\"" },
		{ "once", "planes misspelt", "3tier-small", "planes: 2\n", "plaens: 2\n", "did you mean `planes`?" },
		{ "once", "count misspelt", "4x2", "count: 4", "cuont: 4", "did you mean `count`?" },
		{ "once", "loopback misspelt", "4x2", "loopback: [10.0.1", "lopback: [10.0.1",
		    "did you mean `loopback`?" },
		{ "once", "name misspelt", "4x2", "name: leaf", "nmae: leaf", "did you mean `name`?" },
		{ "once", "up misspelt", "4x2", "up: {", "upp: {", "did you mean `up`?" },
		{ "once", "tiers misspelt", "4x2", "tiers:", "teirs:", "did you mean `tiers`?" },
		{ "once", "pool misspelt", "4x2", "{pool: 10.1", "{pol: 10.1", "did you mean `pool`?" },
		{ "once", "AS per pod without pods", "4x2", "{base: 65000}", "{base: 65500, pod_step: 100}",
		    "tier `leaf` is not in pods" },
		{ "once", "whether AS numbers may be public", "allow_public_asn: yes\n" ONE, "asn: 65001", "asn: 3320",
		    "`allow_public_asn` is \"yes\"" },
		{ "once", "two tiers of one name", "4x2", "name: leaf", "name: spine", "two tiers are called `spine`" },
		{ "once", "a template with a fault, used", OUTSIDE, "asn: 64500", "asn: many", "`asn` is \"many\"" },
		{ "once", "a template that is no map, used", OUTSIDE, "{asn: 64500}", "64500", "a template is a map" },
		{ "once", "a key misspelt in a template", OUTSIDE, "asn: 64500", "ans: 64500", "did you mean `asn`?" },
		{ "once", "a template that is not there", OUTSIDE, "template: out", "template: otu",
		    "there is no template `otu`" },
		{ "once", "templates misspelt", OUTSIDE, "templates:", "tempaltes:", "did you mean `templates`?" },
		{ "once", "template misspelt", OUTSIDE, "template: out", "tempalte: out", "did you mean `template`?" },
		{ "once", "an added link without a reason, and min_uplinks", "border", "spine2:swp30\", why: RMA-4711}",
		    "spine2:swp30\"}\npolicy: {min_uplinks: 4}", "an exception needs the key `why`" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		char *got = all_errors_of(&faults[i]), *at = got;
		size_t n = 0;

		for (; (at = strstr(at, ": error: ")); at++)
			n++;
		if (n != 1)
			fail_msg("%s: %zu errors: %s", faults[i].name, n, got);
		free(got);
		run(&faults[i]);
	}
}

static void
test_C05_reserved_as(void **state)
{
	static const struct rule_case numbers[] = {
		{ "C05", "0", "4x2", "asn: 65000", "asn: 0", "AS number 0 is reserved (RFC 7607)" },
		{ "C05", "23456", "4x2", "asn: 65000", "asn: 23456", "23456 is AS_TRANS (RFC 6793)" },
		{ "C05", "64496", "4x2", "asn: 65000", "asn: 64496", "for documentation (RFC 5398)" },
		{ "C05", "64511", "4x2", "asn: 65000", "asn: 64511", "for documentation (RFC 5398)" },
		{ "C05", "64512", "4x2", "asn: 65000", "asn: 64512", NULL },
		{ "C05", "65534", "4x2", "asn: 65000", "asn: 65534", NULL },
		{ "C05", "65535", "4x2", "asn: 65000", "asn: 65535", "65535 is reserved (RFC 7300)" },
		{ "C05", "65536", "4x2", "asn: 65000", "asn: 65536", "for documentation (RFC 5398)" },
		{ "C05", "65551", "4x2", "asn: 65000", "asn: 65551", "for documentation (RFC 5398)" },
		{ "C05", "4199999999", "4x2", "asn: 65000", "asn: 4199999999", "is not private" },
		{ "C05", "4200000000", "4x2", "asn: 65000", "asn: 4200000000", NULL },
		{ "C05", "4294967294", "4x2", "asn: 65000", "asn: 4294967294", NULL },
		{ "C05", "4294967295", "4x2", "asn: 65000", "asn: 4294967295", "4294967295 is reserved (RFC 7300)" },
		{ "C05", "4294967296", "4x2", "asn: 65000", "asn: 4294967296", "a whole number from 0 to 4294967295" },
		{ "C05", "-1", "4x2", "asn: 65000", "asn: -1", "a whole number from 0 to 4294967295" },
		{ "C05", "asdot", "4x2", "asn: 65000", "asn: 1.1", "a whole number from 0 to 4294967295" },
		{ "C05", "private, overflowing at the last slot", "4x2", "{base: 65000}", "{base: 65503}",
		    "hold 65535" },
		{ "C05", "private, full to the last slot", "4x2", "{base: 65000}", "{base: 65502}", NULL },
		{ "C05", "32 bits, overflowing at the last slot", "4x2", "{base: 65000}", "{base: 4294967270}",
		    "above 4294967295" },
		{ "C05", "steps overflowing", "3tier-small", "pod_step: 100", "pod_step: 4294967295",
		    "above 4294967295" },
		{ "C05", "hosts", "border", "asn: 65500-65534", "asn: 65500-65535",
		    "hosts of tier `leaf`: AS numbers 65500-65535 hold 65535" },
		{ "C05", "external", "border", "asn: 64500,", "asn: 23456,", "AS 23456 is reserved" },
		{ "C05", "external 0", "border", "asn: 64500,", "asn: 0,", "a whole number from 1" },
		{ "C05", "public_asn", "border", "", "public_asn: 65535\n", "AS 65535 is reserved" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		run(&numbers[i]);
}

static void
test_C06_many_nodes(void **state)
{
	static const struct {
		const char *pods, *per_pod, *slots, *want;
	} sizes[] = {
		{ "1000", "1000", "1000", "the fabric would have 1001002 nodes" },
		{ "4096", "4096", "4096", "at most 100000 and 2000000 are allowed" },
		{ "99", "999", "1024", NULL },
		{ "1000000", "1", "1", "a whole number from 1 to 65535" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char text[1024], *got;
		double start = seconds_now();

		snprintf(text, sizeof(text),
		    "schema: 1\nfabric: x\npods: %s\ntiers:\n  - {name: super, count: 2, asn: 65000, loopback: "
		    "10.0.0.0/24}\n"
		    "  - {name: spine, per_pod: 1, asn: {base: 4200000000, per: pod}, loopback: {pool: 10.64.0.0/10, "
		    "pod_len: 26},"
		    " up: {to: super, local: \"u[1-2]\", remote: \"d[1-4096]\"}}\n"
		    "  - {name: leaf, per_pod: %s, asn: {base: 4210000000, pod_step: 5000}, loopback: {pool: "
		    "\"fd00::/48\", pod_len: 64},"
		    " router_id: {pool: 11.0.0.0/8, pod_len: 21},"
		    " up: {to: spine, local: \"u[1]\", remote: \"d[1-%s]\"}}\n",
		    sizes[i].pods, sizes[i].per_pod, sizes[i].slots);
		got = all_errors(text, strlen(text));
		if (sizes[i].want ? !strstr(got, sizes[i].want) : strstr(got, ": error: ") != NULL)
			fail_msg("%s x %s: %s", sizes[i].pods, sizes[i].per_pod, got);
		free(got);
		assert_true(seconds_now() - start < 20);
	}
}

/* Lists of a whole file of the same thing end in bounded time, whatever is wrong with them. */
static void
test_C06_long_lists(void **state)
{
	static const struct {
		const char *head, *item[2]; /* the item's text before and behind a number */
		int n;
		const char *want;
	} lists[] = {
		{ "devices:\n", { " leaf1x", ": {}\n" }, 100000, "there is no node" },
		{ "except:\n", { " - {why: a, add: \"spine1:y -- leaf1:x", "\"}\n" }, 50000,
		    "spine1:y is taken already" },
		{ "external:\n", { " - {asn: 64500, local: 192.0.2.1/31, peer: 192.0.2.0, at: \"leaf1:x", "\"}\n" },
		    40000, "more than 1024 ports" },
		{ "external:\n",
		    { " - {asn: 64500, at: \"leaf1:x\", local: \"fd00:9::ffff/64\", peer: \"fd00:9::", "\"}\n" }, 5000,
		    "leaf1 has 5002 sessions; at most 4000 are allowed" },
		{ "templates:\n", { " t", ": {asn: 64500}\n" }, 60000, "60000 templates; at most 1000 are allowed" },
		{ "services:\n", { " - {owners: [leaf9], prefix: \"fd00:9::", "/128\"}\n" }, 9999, "there is no node" },
		{ "services:\n", { " - {prefix: 10.9.0.0/16, owners: [leaf1x", "]}\n" }, 50000,
		    "a second service 10.9.0.0/16" },
		{ "aggregates:\n", { " - 10.9.0.0/16 # ", "\n" }, 150000, "10.9.0.0/16 stands a second time" },
		{ "x-a:\n", { " # a\n - b # ", "\n" }, 150000, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		char *base = edited(data("4x2"), "", lists[i].head), *text = calloc(1, 5u << 20), *got;
		double start = seconds_now();
		size_t at = strlen(base);

		strcpy(text, base);
		for (int k = 1; k <= lists[i].n; k++)
			at += (size_t)snprintf(text + at, 256, "%s%d%s", lists[i].item[0], k, lists[i].item[1]);
		assert_true(at < (4u << 20));
		got = all_errors(text, at);
		if (lists[i].want ? !strstr(got, lists[i].want) : got[0] != '\0')
			fail_msg("%s%.300s", lists[i].head, got);
		assert_true(seconds_now() - start < 20);
		free(got);
		free(text);
		free(base);
	}
}

/* Warnings are told, and refuse nothing. */
static void
warnings(void **state)
{
	static const struct rule_case warned[] = {
		{ "port names", "with a slash", "4x2", "eth[3-6]", "Eth1/[3-6]",
		    "warning: port Eth1/3: no interface of Linux has a `/` in its name" },
		{ "warning", "one AS below the top", "4x2", "asn: {base: 65000}", "asn: 65001",
		    "warning: tier `leaf`: one AS number" },
		{ "warning", "same AS numbers in each pod", "3tier-small", "{base: 65100, per: pod}", "{base: 65100}",
		    "warning: tier `spine`: the same AS numbers in each pod" },
		{ "warning", "one AS for the middle of all pods", "3tier-small", "{base: 65100, per: pod}", "65100",
		    "warning: tier `spine`: one AS number" },
		{ "warning", "an AS for each switch in the middle", MIDDLE, "asn: 65001", "asn: {base: 65001}",
		    "warning: tier `agg`: an AS number for each switch" },
		{ "warning", "planes without a pattern", "4x2", "fabric: lab\n", "fabric: lab\nplanes: 2\n",
		    "warning: `planes` without" },
		{ "warning", "a switch that shall be empty", "4x2", "fabric: lab\n",
		    "fabric: lab\ndevices: {leaf1: {state: drained}}\n",
		    "warning: `state: drained` is read, but has no effect yet" },
		{ "warning", "a list of services", "4x2", "fabric: lab\n",
		    "fabric: lab\nservices: [{prefix: 10.9.0.1/32, owners: [leaf1]}]\n",
		    "warning: `services` is read, but" },
		{ "warning", "what is not the default", "4x2", "fabric: lab\n",
		    "fabric: lab\npolicy: {on_wrong_port: block}\n", "warning: `on_wrong_port: block` is read, but" },
		{ "warning", "a flag that is set", "4x2", "fabric: lab\n", "fabric: lab\necmp: {resilient: on}\n",
		    "warning: `resilient: on` is read, but" },
		{ "warning", "sessions of one port without names", "border", "aggregates:",
		    "  - {at: \"border2:swp1\", asn: 64500, local: 192.0.2.9/29, peer: 192.0.2.10}\n"
		    "  - {at: \"border2:swp1\", asn: 64501, local: 192.0.2.9/29, peer: 192.0.2.11}\naggregates:",
		    "f.yaml:14:5: warning: a second session without a `name` on border2:swp1; nothing tells it from "
		    "the "
		    "one in line 13" },
		{ "warning", "an interval below the least", "4x2", "fabric: lab\n",
		    "fabric: lab\ntimers: {bfd: 3x3ms}\n",
		    "warning: `bfd` is \"3x3ms\": no packets are sent that fast" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(warned); i++) {
		char *text = text_of(&warned[i]);

		topo_free(load(text));
		free(text);
		run(&warned[i]);
	}
}

/* Whoever writes down what holds anyway, or the same twice, is not told more than once. */
static void
warnings_are_few(void **state)
{
	static const struct {
		const char *lines;
		size_t warnings;
	} files[] = {
		{ "devices: {leaf1: {state: active}, leaf2: {state: planned}}\n", 0 },
		{ "policy: {on_wrong_port: warn, max_load_after_drain: 90%}\necmp: {resilient: off}\n", 0 },
		{ "timers: {bfd: 3x4ms}\n", 0 },
		{ "devices: {leaf1: {state: drained}, leaf2: {state: drained}, spine1: {state: drained}}\n", 1 },
		{ "devices: {leaf1: {state: drained}}\nlisten: {web: 127.0.0.1:8180}\n", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *text = edited(data("4x2"), "", files[i].lines);
		struct topo_errors errs = { 0 };
		struct topo *t = topo_load(text, strlen(text), &errs);

		assert_non_null(t);
		assert_int_equal(topo_errors_count(&errs, TOPO_WARNING), files[i].warnings);
		topo_free(t);
		topo_errors_free(&errs);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(each_rule_both_ways),
		cmocka_unit_test(test_C02_duplicates),
		cmocka_unit_test(no_duplicates),
		cmocka_unit_test(one_error_each),
		cmocka_unit_test(test_C05_reserved_as),
		cmocka_unit_test(test_C06_many_nodes),
		cmocka_unit_test(test_C06_long_lists),
		cmocka_unit_test(warnings),
		cmocka_unit_test(warnings_are_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
