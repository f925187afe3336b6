# chainfs. One Makefile for the whole tree; `make help` lists what it does.
#
# FLAVOUR   release (default), asan, tsan, cov, fuzz, plain: each has its own objects
# BUILD     where everything built goes (default: build); give your own to build side by side
# DIRS      the source folders that go into the library, for trying a part of the tree alone:
#           make check BUILD=/tmp/b DIRS='core/base core/store' TESTS=tests/unit/test_map.c
# WERROR=1  warnings are errors
# V=1       show the commands

.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
SHELL     := /bin/bash

VERSION  := 0.1.0
FLAVOUR  ?= release
BUILD    ?= build
PREFIX   ?= /usr/local
# mount(8) looks for its helpers nowhere else.
SBINDIR  ?= /sbin
UNITDIR  ?= $(PREFIX)/lib/systemd/system
WERROR   ?= 0
V        ?= 0
Q        := $(if $(filter 1,$(V)),,@)

FUZZ_SECONDS ?= 60
BIN          := $(BUILD)/$(FLAVOUR)
GEN          := $(BUILD)/gen

# ---- tools and flags -------------------------------------------------------------------------

CC         := $(if $(filter fuzz,$(FLAVOUR)),clang,$(if $(filter default,$(origin CC)),gcc,$(CC)))
PKG_CONFIG ?= pkg-config
PROTOC_C   ?= protoc-c
SCDOC      ?= scdoc

PACKAGES := fuse3 liburing libsodium libprotobuf-c libuv libnghttp2 gnutls libcjson libzstd libsecp256k1 nettle \
	yaml-0.1 \
	$(EXTRA_PACKAGES)

CPPFLAGS_ALL := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DCHAINFS_VERSION='"$(VERSION)"' -I. -I$(GEN) \
	$(shell $(PKG_CONFIG) --cflags $(PACKAGES)) $(CPPFLAGS)
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter \
	-Wno-format-zero-length \
	$(if $(filter 1,$(WERROR)),-Werror)

CFLAGS_release  := -O2 -g -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fPIE
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
# Nothing has to call it by name for it to be the one malloc.
LIBS_release     = -Wl,--no-as-needed $(shell $(PKG_CONFIG) --libs jemalloc) -Wl,--as-needed

SANITIZE_asan  := -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_asan    := -O1 -g -fno-omit-frame-pointer $(SANITIZE_asan)
LDFLAGS_asan   := $(SANITIZE_asan)

CFLAGS_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS_tsan   := -fsanitize=thread

# For valgrind: no second malloc, and code that it can follow.
CFLAGS_plain   := -O1 -g -fno-omit-frame-pointer

CFLAGS_cov     := -O0 -g --coverage -DCHAINFS_COVERAGE
LDFLAGS_cov    := --coverage

CFLAGS_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all
LDFLAGS_fuzz   := -fsanitize=fuzzer,address,undefined

ifeq ($(filter $(FLAVOUR),release asan tsan cov fuzz plain),)
$(error FLAVOUR is one of release, asan, tsan, cov, fuzz, plain)
endif

CFLAGS_ALL  := -std=gnu11 -pthread $(CFLAGS_$(FLAVOUR)) $(CFLAGS)
LDFLAGS_ALL := -pthread -Wl,--as-needed $(LDFLAGS_$(FLAVOUR)) $(LDFLAGS)
LIBS_ALL     = $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lrocksdb $(LIBS_$(FLAVOUR)) \
	-lpthread -lm $(LIBS)

# ---- what there is ---------------------------------------------------------------------------

DIRS    ?= $(patsubst %/,%,$(sort $(dir $(wildcard core/*/*.c core/chain/*/*.c core/chain/*/*/*.c fs/*/*.c net/*.c \
	proto/*.c mount-helpers/*.c))))
MAIN    := mount-helpers/main.c
SOURCES := $(filter-out $(MAIN),$(sort $(foreach d,$(DIRS),$(wildcard $(d)/*.c))))
PROTOS  := $(wildcard proto/*.proto)
GEN_H   := $(PROTOS:%.proto=$(GEN)/%.pb-c.h)
GEN_C   := $(PROTOS:%.proto=$(GEN)/%.pb-c.c)

OBJECTS := $(SOURCES:%.c=$(BIN)/obj/%.o) $(PROTOS:%.proto=$(BIN)/obj/gen/%.pb-c.o)
LIBRARY := $(BIN)/libchainfs.a
PROGRAM := $(if $(filter release,$(FLAVOUR)),$(BUILD)/chainfs,$(BIN)/chainfs)
# A part of the tree has no main() to link.
PROGRAM_BUILT := $(if $(filter $(patsubst %/,%,$(dir $(MAIN))),$(DIRS)),$(PROGRAM))

TESTS         ?= $(sort $(wildcard tests/unit/test_*.c tests/prop/prop_*.c tests/sim/sim_*.c))
TEST_PROGRAMS := $(TESTS:tests/%.c=$(BIN)/tests/%)
SUPPORT       := $(patsubst %.c,$(BIN)/obj/%.o,$(sort $(wildcard tests/support/*.c)))
SCRIPTS       ?= $(sort $(wildcard tests/mount/*.sh tests/cli/*.sh))
# These mount over rings, too; check-all does so with all that mount.
RING_SCRIPTS  ?= $(filter $(SCRIPTS),$(addprefix tests/mount/t-,basic.sh tools.sh getdents.sh uring.sh))
SLOW_SCRIPTS  ?= $(sort $(wildcard tests/slow/*.sh tests/package/*.sh))
FAULT_SCRIPTS ?= $(sort $(wildcard tests/faults/*.sh))
FUZZERS       := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_PROGRAMS := $(FUZZERS:tests/%.c=$(BIN)/tests/%)
FAULT_PROGRAMS := $(BIN)/tests/faults/read_tree
BENCHES       := $(sort $(wildcard tests/bench/*.c))
BENCH_PROGRAMS := $(BENCHES:tests/%.c=$(BIN)/tests/%)
PAPERS        := $(BUILD)/papers
PAPER_PARTS   := $(wildcard docs/man/*.scd docs/man/parts/*.scd)
# The program writes them; that of a sanitizer would write the same.
PAPERS_MADE   := $(if $(filter release,$(FLAVOUR)),$(if $(PROGRAM_BUILT),$(PAPERS)/made))

# ---- the program -----------------------------------------------------------------------------

.PHONY: all lib test-programs check faults check-all check-flavours check-valgrind coverage layers fuzz \
	fuzz-run fuzz-programs bench bench-floors bench-programs papers install uninstall deb clean help

all: $(PROGRAM_BUILT) $(LIBRARY) $(PAPERS_MADE) ## the program, its manual and completions (default)

lib: $(LIBRARY)

$(PROGRAM): $(BIN)/obj/$(MAIN:.c=.o) $(LIBRARY)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_ALL)

# The list of objects is a prerequisite, so that a source that went away leaves the library too.
$(LIBRARY): $(OBJECTS) $(BIN)/objects.txt
	@echo "  AR    $@"
	$(Q)rm -f $@ && ar rcs $@ $(OBJECTS)

$(BIN)/objects.txt: FORCE
	@mkdir -p $(@D)
	@echo '$(OBJECTS)' | cmp -s - $@ || echo '$(OBJECTS)' > $@

# A change of flags rebuilds what they built.
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(WARNINGS)
$(BIN)/flags.txt: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@

.PHONY: FORCE
FORCE:

$(BIN)/obj/%.o: %.c $(BIN)/flags.txt | $(GEN_H)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(WARNINGS) $(CFLAGS_FILE) -MMD -MP -c -o $@ $<

# Generated code is not ours to warn about.
$(BIN)/obj/gen/%.o: $(GEN)/%.c $(BIN)/flags.txt | $(GEN_H)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -w -MMD -MP -c -o $@ $<

# Imports in a .proto are written from the root too: import "proto/name.proto";
$(GEN)/proto/%.pb-c.c $(GEN)/proto/%.pb-c.h &: proto/%.proto
	@mkdir -p $(@D)
	@echo "  PROTO $<"
	$(Q)$(PROTOC_C) --proto_path=. --c_out=$(GEN) $<

# BLAKE3: the hot loop of every trie. Each SIMD file is built for its own instruction set and
# chosen at run time, so the program starts on any x86-64.
$(BIN)/obj/core/base/blake3%.o: CFLAGS_FILE += -O3
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
$(BIN)/obj/core/base/blake3_sse41.o:  CFLAGS_FILE += -msse4.1
$(BIN)/obj/core/base/blake3_avx2.o:   CFLAGS_FILE += -mavx2
$(BIN)/obj/core/base/blake3_avx512.o: CFLAGS_FILE += -mavx512f -mavx512vl -mprefer-vector-width=512
endif

# ---- tests -----------------------------------------------------------------------------------

# Allocation and the reading of folders go through tests/support, which can make the nth one fail.
# (readdir is readdir64 where offsets have 64 bits.)
TEST_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=readdir64
TEST_LIBS     = $(shell $(PKG_CONFIG) --libs cmocka)

$(TEST_PROGRAMS): $(BIN)/tests/%: $(BIN)/obj/tests/%.o $(SUPPORT) $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(TEST_LDFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS_ALL)

$(FUZZ_PROGRAMS) $(BENCH_PROGRAMS) $(FAULT_PROGRAMS): $(BIN)/tests/%: $(BIN)/obj/tests/%.o $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_ALL)

test-programs: $(TEST_PROGRAMS) $(FAULT_PROGRAMS) $(PROGRAM_BUILT)
fuzz-programs: $(FUZZ_PROGRAMS)
bench-programs: $(BENCH_PROGRAMS)

# What the peers of tests/peers are made of: the versions of package-lock.json. Without them the
# scripts that need a peer are skipped, and say so.
.PHONY: peers
PEERS_LOCK := tests/peers/package-lock.json
peers: ## the packages of tests/peers (needs npm)
	@if [ tests/peers/node_modules/.package-lock.json -nt $(PEERS_LOCK) ]; then :; \
	elif ! command -v npm > /dev/null; then echo "peers: npm is not here; what needs a peer is skipped"; \
	elif ! npm ci --prefix tests/peers --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null; then \
		echo "peers: npm ci failed; what needs a peer is skipped"; fi

# A quarter of the rounds; check-all does them all.
check: layers peers test-programs ## unit and property tests, then mounts and verbs, in some minutes
	@TEST_ROUNDS=$${TEST_ROUNDS:-25} tests/run.sh --flavour $(FLAVOUR) --chainfs $(PROGRAM) $(TEST_PROGRAMS) $(SCRIPTS) \
		--transport uring $(RING_SCRIPTS)

faults: $(PROGRAM_BUILT) $(FAULT_PROGRAMS) ## what tests/faults breaks, with small counts: kills, power cuts, full disks, I/O errors
	@tests/run.sh --flavour $(FLAVOUR) --chainfs $(PROGRAM) $(FAULT_SCRIPTS)

# One run over all flavours, so that the last line is the total of everything.
check-all: layers peers ## the same also under the sanitizers, fuzz corpora, slow scripts
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release test-programs bench-programs
	$(Q)$(MAKE) --no-print-directory FLAVOUR=asan test-programs
	$(Q)$(MAKE) --no-print-directory FLAVOUR=tsan test-programs
	$(Q)$(MAKE) --no-print-directory FLAVOUR=fuzz fuzz-programs
	$(Q)[ "$$(id -u)" != 0 ] || ! command -v dh > /dev/null || $(MAKE) --no-print-directory deb
	@CHAINFS_DEB_BUILD=$${CHAINFS_DEB_BUILD:-$(abspath $(BUILD)/deb)} tests/run.sh \
		--flavour release --chainfs $(BUILD)/chainfs \
			$(TESTS:tests/%.c=$(BUILD)/release/tests/%) $(SCRIPTS) $(SLOW_SCRIPTS) \
		--transport uring $(filter tests/mount/%,$(SCRIPTS)) --transport classic \
		--flavour asan --chainfs $(BUILD)/asan/chainfs \
			$(TESTS:tests/%.c=$(BUILD)/asan/tests/%) $(SCRIPTS) \
		--flavour tsan --chainfs $(BUILD)/tsan/chainfs \
			$(TESTS:tests/%.c=$(BUILD)/tsan/tests/%) $(SCRIPTS) \
		--flavour fuzz $(FUZZERS:tests/%.c=$(BUILD)/fuzz/tests/%)

# Which lines and branches of core/ and fs/ the tests reach; gcovr makes the table.
coverage: ## line and branch coverage of core/ and fs/, below BUILD/coverage (needs gcovr)
	$(Q)$(MAKE) --no-print-directory FLAVOUR=cov coverage-run

.PHONY: coverage-run
coverage-run: $(PROGRAM) test-programs
	$(Q)find $(BIN)/obj -name '*.gcda' -delete
	@TEST_ROUNDS=$${TEST_ROUNDS:-10} tests/run.sh --flavour cov --chainfs $(PROGRAM) $(TEST_PROGRAMS) $(SCRIPTS) || \
		echo "coverage: of a run with failures"
	$(Q)mkdir -p $(BUILD)/coverage
	$(Q)gcovr --root . --object-directory $(BIN)/obj --filter 'core/' --filter 'fs/' \
		--txt $(BUILD)/coverage/lines.txt --csv $(BUILD)/coverage/files.csv
	$(Q)awk -f tests/coverage.awk $(BUILD)/coverage/files.csv

# Unit and property tests under valgrind: reads of what was never written, which no sanitizer here sees.
# But test_transports: valgrind knows neither pidfd_getfd() nor rings.
check-valgrind: ## unit and property tests under valgrind (needs valgrind)
	$(Q)$(MAKE) --no-print-directory FLAVOUR=plain check-valgrind-run

.PHONY: check-valgrind-run
check-valgrind-run: test-programs
	@TEST_ROUNDS=$${TEST_ROUNDS:-2} SIM_RUNS=$${SIM_RUNS:-50} TEST_PATIENCE=$${TEST_PATIENCE:-30} \
		TEST_TIMEOUT_S=$${TEST_TIMEOUT_S:-1800} TEST_WRAP="valgrind -q --error-exitcode=99 \
		--leak-check=full --errors-for-leak-kinds=definite --track-origins=no --suppressions=tests/valgrind.supp" \
		tests/run.sh --flavour plain $(filter-out %/test_transports,$(TEST_PROGRAMS))

layers: ## refuses an include that points upward
	@tests/layers.sh

fuzz: ## each fuzzer for FUZZ_SECONDS, on top of its corpus
	$(Q)$(MAKE) --no-print-directory FLAVOUR=fuzz fuzz-run

# What a run finds new goes below BUILD, not into the corpus: what is kept is chosen by a person.
fuzz-run: $(FUZZ_PROGRAMS)
	@set -e; for program in $(FUZZ_PROGRAMS); do \
		name=$${program##*/fuzz_}; found=$(BUILD)/fuzz/found/$$name; \
		mkdir -p $$found; echo "== $$name, $(FUZZ_SECONDS) s"; \
		corpus=tests/fuzz/corpus/$$name; [ -d $$corpus ] || corpus=; \
		$$program -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 \
			-print_final_stats=1 -verbosity=0 -artifact_prefix=$$found/ \
			$$found $$corpus; \
	done

BENCH_RUN := CHAINFS=$(abspath $(PROGRAM)) PROGRAMS=$(abspath $(BIN)/tests/bench) WORK=$(abspath $(BUILD)/bench) \
	tests/bench/run.sh

bench: $(PROGRAM_BUILT) $(BENCH_PROGRAMS) ## ratios against what there is to compare with (tests/bench/README.md); QUICK=1
	@$(BENCH_RUN)

bench-floors: ## of the last bench: fails unless every floor of DESIGN.md is met
	@$(BENCH_RUN) --floors

# ---- installation ----------------------------------------------------------------------------

HELPERS := mount.chainfs mount.fuse.chainfs umount.chainfs umount.fuse.chainfs

papers: $(PAPERS_MADE) ## manual pages (with scdoc) and completions, made by the program of its tables

# scdoc would date the pages of today.
$(PAPERS)/made: $(PROGRAM) $(PAPER_PARTS)
	@echo "  PAPERS"
	$(Q)rm -rf $(PAPERS) $(BUILD)/man && mkdir -p $(BUILD)/man
	$(Q)$(PROGRAM) papers $(PAPERS) docs/man/parts
	$(Q)set -e; \
	if ! command -v $(SCDOC) > /dev/null; then \
		echo "no manual pages: they need scdoc"; \
	else \
		export SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2> /dev/null || date +%s)}; \
		for page in $(PAPERS)/*.scd $(wildcard docs/man/*.scd); do \
			name=$${page##*/}; \
			$(SCDOC) < $$page > $(BUILD)/man/$${name%.scd}; \
		done; \
	fi
	$(Q)touch $@

SHARE := $(DESTDIR)$(PREFIX)/share

install: all ## below DESTDIR and PREFIX
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/chainfs
	install -d $(DESTDIR)$(SBINDIR)
	$(Q)set -e; for name in $(HELPERS); do \
		ln -sf $(PREFIX)/bin/chainfs $(DESTDIR)$(SBINDIR)/$$name; \
	done
	$(Q)set -e; mkdir -p $(DESTDIR)$(UNITDIR); for unit in mount-helpers/systemd/*.service.in; do \
		name=$${unit##*/}; \
		sed 's|@BINDIR@|$(PREFIX)/bin|g' $$unit > $(DESTDIR)$(UNITDIR)/$${name%.in}; \
		chmod 644 $(DESTDIR)$(UNITDIR)/$${name%.in}; \
	done
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/chainfs/examples \
		mount-helpers/systemd/*.mount mount-helpers/systemd/*.automount
	$(Q)set -e; for page in $(BUILD)/man/*.[1-8]; do \
		[ ! -e $$page ] || install -D -m 644 $$page $(SHARE)/man/man$${page##*.}/$${page##*/}; \
	done
	$(Q)install -D -m 644 $(PAPERS)/chainfs.bash $(SHARE)/bash-completion/completions/chainfs
	$(Q)install -D -m 644 $(PAPERS)/_chainfs $(SHARE)/zsh/site-functions/_chainfs
	$(Q)install -D -m 644 $(PAPERS)/chainfs.fish $(SHARE)/fish/vendor_completions.d/chainfs.fish

uninstall: ## takes away what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/chainfs $(HELPERS:%=$(DESTDIR)$(SBINDIR)/%) \
		$(patsubst mount-helpers/systemd/%.in,$(DESTDIR)$(UNITDIR)/%,$(wildcard mount-helpers/systemd/*.in))
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/chainfs/examples
	$(Q)rm -f $(SHARE)/man/man1/chainfs.1 $(SHARE)/man/man1/chainfs-*.1 \
		$(SHARE)/man/man5/chainfs.yaml.5 $(SHARE)/man/man7/chainfs-tree.7 $(SHARE)/man/man8/mount.chainfs.8 \
		$(SHARE)/bash-completion/completions/chainfs $(SHARE)/zsh/site-functions/_chainfs \
		$(SHARE)/fish/vendor_completions.d/chainfs.fish

# From a copy, so that what dpkg writes beside a source folder lands below BUILD.
DEB_DIR := $(BUILD)/deb/chainfs-$(VERSION)
DEB_SOURCES := $(wildcard core fs net proto mount-helpers docs debian Makefile README.md LICENSE CONTRIBUTING.md)

deb: ## the Debian package, below BUILD/deb (needs debhelper)
	$(Q)rm -rf $(BUILD)/deb && mkdir -p $(DEB_DIR)
	$(Q)tar -c $(DEB_SOURCES) | tar -x -C $(DEB_DIR)
	$(Q)cd $(DEB_DIR) && env -u FLAVOUR -u BUILD -u DESTDIR -u MAKEFLAGS -u MAKELEVEL \
		DEB_BUILD_OPTIONS="nocheck parallel=$$(nproc) $$DEB_BUILD_OPTIONS" \
		dpkg-buildpackage -b -us -uc
	@ls $(BUILD)/deb/*.deb

clean: ## takes BUILD away
	rm -rf $(BUILD)

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

-include $(shell find $(BIN)/obj -name '*.d' 2>/dev/null)
