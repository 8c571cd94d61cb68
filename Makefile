# fabricd: one make for all of it. `make help` lists the targets.
#
# A folder of sources becomes one static library; what a library may see stands in the line `needs`, and mirrors
# the include rules that tests/layers.py checks. A new file in a folder needs no change here.

ifeq ($(origin CC),default)
CC = gcc
endif
O       ?= build/$(CC)$(if $(SAN),-san)
PKGS     = libevent libnl-3.0 libprotobuf-c libyaml-0.1 libsodium jansson smartcols libxxhash
CPPFLAGS = -D_GNU_SOURCE -I. -I$(O)/gen $(shell pkg-config --cflags libnl-3.0 libprotobuf-c smartcols)
WARN     = -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
           -Wwrite-strings -Wvla -Wundef -Wformat=2
ifdef FUZZ
sanitize = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifdef SAN
sanitize = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
CFLAGS  ?= -O2 -g
# also when CFLAGS comes from the command line
override CFLAGS += -std=gnu11 -fno-common -fno-strict-aliasing $(WARN) $(sanitize)
LDFLAGS += $(sanitize)

# ---- libraries: each a folder, what it needs beside itself, and what only its tests need ----
LIBS = lib topology runtime runtime_event runtime_sim rib bgp link policy platform platform_linux platform_model \
       platform_null bfd bfd_host bfd_client bfd_daemon node upgrade query sim ctl

dir_lib              = fabricd/lib
dir_topology         = topology
dir_runtime          = fabricd/runtime
dir_runtime_event    = fabricd/runtime/event
dir_runtime_sim      = fabricd/runtime/sim
dir_rib              = fabricd/rib
dir_bgp              = fabricd/bgp
dir_link             = fabricd/link
dir_policy           = fabricd/policy
dir_platform         = platform
dir_platform_linux   = platform/linux
dir_platform_model   = platform/model
dir_platform_null    = platform/null
dir_bfd              = bfd
dir_bfd_host         = bfd/host
dir_bfd_client       = bfd/client
dir_bfd_daemon       = bfd/daemon
dir_node             = fabricd
dir_upgrade          = fabricd/upgrade
dir_query            = fabricd/query
dir_sim              = fabricd/sim
dir_ctl              = fabricd/ctl

needs_lib            =
needs_topology       = lib
needs_runtime        = lib
needs_runtime_event  = runtime lib
needs_runtime_sim    = runtime lib
needs_rib            = lib
needs_bgp            = rib lib
needs_link           = lib
needs_policy         = topology rib lib
needs_platform       = runtime lib
needs_platform_linux = platform runtime lib
needs_platform_model = platform runtime lib
needs_platform_null  = platform runtime lib
needs_bfd            = lib
needs_bfd_host       = bfd runtime lib
needs_bfd_client     = bfd_host bfd runtime lib
needs_bfd_daemon     = bfd_client bfd_host bfd runtime lib
needs_node           = bgp link policy rib topology platform runtime lib bfd_client bfd_host bfd
needs_upgrade        = node $(needs_node)
needs_query          = node $(needs_node)
needs_sim            = upgrade runtime_sim platform_model $(needs_upgrade)
needs_ctl            = query $(needs_query)

extra_link           = runtime runtime_sim
extra_platform       = platform_model platform_null runtime_sim runtime_event platform_linux
extra_platform_linux = runtime_event
extra_platform_model = runtime_sim
extra_bfd_host       = runtime_sim
extra_bfd_client     = runtime_sim
extra_bfd_daemon     = runtime_sim runtime_event
extra_node           = sim upgrade runtime_sim platform_model
extra_upgrade        = sim runtime_sim platform_model
extra_query          = sim upgrade runtime_sim runtime_event platform_model

# third-party libraries, linked only into what holds the library that needs them
third_lib            = -lxxhash
third_topology       = -lyaml -lsodium
third_runtime_event  = -levent_core
third_platform_linux = -lnl-3
third_bfd_client     = -lprotobuf-c
third_query          = -lprotobuf-c -ljansson
third_ctl            = -ljansson -lsmartcols
third_test_bgp       = -ljansson

# objects of generated sources
gen_bfd_client       = $(O)/gen/bfd/client/bfd.pb-c.o
gen_query            = $(O)/gen/fabricd/query/query.pb-c.o

srcs = $(filter-out %/main.c,$(wildcard $(dir_$1)/*.c))
arch = $(patsubst %,$(O)/lib%.a,$1)
libs = -Wl,--start-group $(call arch,$1) -Wl,--end-group $(foreach l,$1,$(third_$l))

.PHONY: all help clean unit
#: make                 the programs, in build/gcc/bin;  CC=clang, SAN=1: in build/clang, build/gcc-san
all: $(O)/bin/fabricd $(O)/bin/fabctl $(O)/bin/bfdd $(O)/bin/fabsim $(O)/bin/bfdwatch $(O)/bin/bfdflood

help:
	@sed -n 's/^#: //p' Makefile

# ---- objects and libraries ----
$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define library
$(O)/lib$1.a: $$(patsubst %.c,$(O)/%.o,$$(call srcs,$1)) $$(gen_$1)
	@rm -f $$@; mkdir -p $$(@D)
	ar rcs $$@ $$(filter %.o,$$^)
endef
$(foreach l,$(LIBS),$(eval $(call library,$l)))

# ---- generated: protobuf messages of the query socket and of bfdd ----
$(O)/gen/%.pb-c.c $(O)/gen/%.pb-c.h: %.proto
	@mkdir -p $(@D)
	protoc-c --c_out=$(O)/gen $<
$(O)/gen/%.pb-c.o: $(O)/gen/%.pb-c.c
	$(CC) $(CPPFLAGS) $(filter-out -W%,$(CFLAGS)) -c -o $@ $<
$(patsubst %.c,$(O)/%.o,$(wildcard fabricd/query/*.c fabricd/ctl/*.c fabricd/main.c)): | $(O)/gen/fabricd/query/query.pb-c.h
$(patsubst %.c,$(O)/%.o,$(wildcard bfd/client/*.c bfd/daemon/*.c)): | $(O)/gen/bfd/client/bfd.pb-c.h

# ---- programs, in a folder of their own: build/gcc/fabricd is where the objects of fabricd/ are ----
fabricd_libs   = query upgrade platform_linux platform_model platform_null runtime_event $(needs_query)
fabctl_libs    = ctl query topology lib
fabsim_libs    = sim $(needs_sim)
bfdd_libs      = bfd_daemon runtime_event $(needs_bfd_daemon)
# of tests/fabric: a client of bfdd, and a flood of BFD packets
bfdwatch_libs  = bfd_client runtime_event $(needs_bfd_client)
bfdflood_libs  =

# program, its object
define program
$(O)/bin/$1: $(O)/$2.o $$(call arch,$$($1_libs))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$< $$(if $$($1_libs),$$(call libs,$$($1_libs)))
endef
$(eval $(call program,fabricd,fabricd/main))
$(eval $(call program,fabctl,fabricd/ctl/main))
$(eval $(call program,fabsim,fabricd/sim/main))
$(eval $(call program,bfdd,bfd/daemon/main))
$(eval $(call program,bfdwatch,tests/support/bfdwatch))
$(eval $(call program,bfdflood,tests/support/bfdflood))

#: make install         PREFIX (/usr) below DESTDIR: fabricd and bfdd to sbin, fabctl and fabsim to bin, schemas, systemd units
PREFIX ?= /usr
.PHONY: install
install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/fabricd/schema \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(O)/bin/fabricd $(O)/bin/bfdd $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(O)/bin/fabctl $(O)/bin/fabsim $(DESTDIR)$(PREFIX)/bin
	install -m 644 docs/schema/*.json topology/schema.json $(DESTDIR)$(PREFIX)/share/fabricd/schema
	install -m 644 scripts/systemd/*.service $(DESTDIR)$(PREFIX)/lib/systemd/system

# ---- unit tests: tests/unit/<library>/<file>_test.c, linked with that library and what it needs ----
#: make unit            all unit tests;  make unit-topology: those of one library;  SAN=1: under sanitizers
UNIT_TESTS = $(wildcard tests/unit/*/*_test.c)
unit_bins = $(patsubst %.c,$(O)/%,$(wildcard tests/unit/$1/*_test.c))

define unit
$$(call unit_bins,$1): $(O)/tests/unit/$1/%: $(O)/tests/unit/$1/%.o $$(call arch,$(sort $1 $(needs_$1) $(extra_$1)))
	$$(CC) $$(LDFLAGS) -o $$@ $$< $$(call libs,$(sort $1 $(needs_$1) $(extra_$1))) $(third_test_$1) -lcmocka
.PHONY: unit-$1
unit-$1: $$(call unit_bins,$1)
	@set -e; for t in $$^; do echo "== $$$$t"; $$$$t; done
endef
$(foreach l,$(LIBS),$(eval $(call unit,$l)))
unit: $(foreach l,$(LIBS),unit-$l)
# built, not run: scripts/test and scripts/faults run them one by one
.PHONY: unit-bins
unit-bins: $(foreach l,$(LIBS),$(call unit_bins,$l))

# ---- fuzzing: tests/fuzz/<name>_fuzz.c by libFuzzer, with clang and sanitizers, seeds in tests/fuzz/seeds/<name> ----
#: make fuzz            each target for FUZZ_SECONDS (60);  make fuzz-seeds: each target over its seeds, once
FUZZ_SECONDS ?= 60
FUZZ_TARGETS  = $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
.PHONY: fuzz fuzz-seeds fuzz-bins
ifdef FUZZ
fuzz-bins: $(patsubst %,$(O)/fuzz/%,$(FUZZ_TARGETS))
$(O)/fuzz/%: $(O)/tests/fuzz/%_fuzz.o $(call arch,$(LIBS))
	@mkdir -p $(@D)
	$(CC) -fsanitize=fuzzer,address,undefined -o $@ $< $(call libs,$(LIBS))
else
fuzz-bins:
	@$(MAKE) --no-print-directory FUZZ=1 CC=clang CFLAGS="-O1 -g" O=build/fuzz fuzz-bins
endif
fuzz: fuzz-bins
	@set -e; for t in $(FUZZ_TARGETS); do mkdir -p build/fuzz/corpus/$$t tests/fuzz/seeds/$$t; echo "== $$t"; \
	build/fuzz/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 \
	    -artifact_prefix=build/fuzz/$$t- build/fuzz/corpus/$$t tests/fuzz/seeds/$$t; done
fuzz-seeds: fuzz-bins
	@set -e; for t in $(FUZZ_TARGETS); do mkdir -p tests/fuzz/seeds/$$t; echo "== $$t"; \
	build/fuzz/fuzz/$$t -runs=0 -verbosity=0 -artifact_prefix=build/fuzz/$$t- tests/fuzz/seeds/$$t; done

clean:
	rm -rf build

-include $(shell find $(O) -name '*.d' 2>/dev/null)
.SECONDARY:

# ---- benchmarks and interoperation (tests/bench, tests/interop; docs/benchmarks.md, docs/interop.md) ----
#: make bench           all benchmarks against FRR and BIRD, as root (long);  make bench-quick: once each, 4x2;  BENCH="..." chooses
#: make interop         FRR, BIRD and GoBGP as the other switch, in network namespaces
BENCH_OUT   = build/bench
bench_tools = $(patsubst %,$(BENCH_OUT)/%,bgpload fibwatch launch probe fibload bfdtap)
.PHONY: bench bench-quick bench-tools interop
$(bench_tools): $(BENCH_OUT)/%: tests/bench/%.c tests/bench/tool.h
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=gnu11 -O2 -g $(WARN) -o $@ $(filter %.c,$^) -pthread
$(BENCH_OUT)/bgpload: $(wildcard tests/bench/bgpload_*.c) tests/bench/bgpload.h
bench-tools: $(bench_tools)
bench: all bench-tools
	/usr/bin/python3 tests/bench/bench.py --fabricd $(O)/bin --tools $(BENCH_OUT) $(BENCH)
bench-quick: all bench-tools
	/usr/bin/python3 tests/bench/bench.py --fabricd $(O)/bin --tools $(BENCH_OUT) --quick $(BENCH)
interop: all
	FABRIC_BUILD=$(abspath $(O)/bin) /usr/bin/python3 -m pytest -p no:cacheprovider -q tests/interop
#: make kills           kill -9 of any process of a fabric under traffic and churn, 1,000 times (some 20 minutes);  KILLS=50
KILLS ?= 1000
.PHONY: kills
kills: all
	FABRIC_BUILD=$(abspath $(O)/bin) KILLS=$(KILLS) /usr/bin/python3 -m pytest -p no:cacheprovider -q -s tests/fabric/test_kills.py
#: make bench-fib       sync and the Linux backend beside bare netlink: 1,000,000 routes (FIB="300000 5": routes, rounds)
.PHONY: bench-fib
fib_libs = platform platform_linux runtime lib
$(O)/fib_bench: $(O)/tests/bench/fib_bench.o $(call arch,$(fib_libs))
	$(CC) $(LDFLAGS) -o $@ $< $(call libs,$(fib_libs))
bench-fib: $(O)/fib_bench
	$< $(FIB)

#: make bench-rib       the RIB alone: nanoseconds and bytes per prefix, longest slice;  RIB_BENCH=table|fabric
$(BENCH_OUT)/rib_bench: tests/bench/rib_bench.c $(call arch,rib lib)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(call libs,rib lib)
.PHONY: bench-rib
bench-rib: $(BENCH_OUT)/rib_bench
	$< $(RIB_BENCH)

# ---- the simulator (tests/sim; docs/simulator.md) ----
#: make sim-seeds       replays every trace that once found a violation
#: make sim-chaos       a few seconds of random faults, with BFD and without
#: make sim-same        the same seed gives the same log: gcc, clang, sanitizers;  SAME="4x2.yaml": of one topology
#: make mutants         breaks the engines at 200 places, one at a time, and counts what the tests notice;  SEED=n MUTANTS=10
#: make soak            a million random faults on seven fabrics, goes on where it was (long);  SOAK="--faults 10000" chooses
#: make scale           cold starts of up to 2,000 switches, with docs/simulator-scale.svg;  SCALE="--pods 2,6" chooses
.PHONY: sim-seeds sim-chaos sim-same soak scale mutants
sim-seeds: $(O)/bin/fabsim
	$(O)/bin/fabsim seeds tests/sim/seeds --topologies tests/data/topology
sim-chaos: $(O)/bin/fabsim
	$(O)/bin/fabsim chaos tests/data/topology/16x4.yaml --seed 41 --events 150 --hours 4
	$(O)/bin/fabsim chaos tests/data/topology/3tier-small.yaml --seed 42 --events 150 --hours 3
	$(O)/bin/fabsim chaos tests/data/topology/border.yaml --seed 43 --events 60 --hours 1 --bfd
	$(O)/bin/fabsim chaos tests/data/topology/parallel.yaml --seed 44 --events 150 --hours 3
	$(O)/bin/fabsim chaos tests/data/topology/outside.yaml --seed 45 --events 150 --hours 3 --outside 20
sim-same:
	$(MAKE) CC=gcc build/gcc/bin/fabsim
	$(MAKE) CC=clang build/clang/bin/fabsim
	$(MAKE) CC=gcc SAN=1 build/gcc-san/bin/fabsim
	SAME="$(SAME)" tests/sim/determinism.sh build/gcc/bin/fabsim build/clang/bin/fabsim build/gcc-san/bin/fabsim
SEED    ?= 1
MUTANTS ?= 200
mutants:
	/usr/bin/python3 tests/sim/mutants.py --seed $(SEED) --mutants $(MUTANTS)
soak: $(O)/bin/fabsim
	/usr/bin/python3 tests/sim/soak.py --fabsim $(O)/bin/fabsim $(SOAK)
scale: $(O)/bin/fabsim
	/usr/bin/python3 tests/sim/scale.py --fabsim $(O)/bin/fabsim $(SCALE)
