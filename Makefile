# whittle: one Makefile, no recursion. Objects live in build/<mode>/ so that modes never mix.
# Overrides go into config.mk (not tracked): CC, PREFIX, WERROR, ...
-include config.mk

CC      ?= gcc
PREFIX  ?= /usr/local
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
MODE    ?= release
O       := build/$(MODE)
VERSION := 0.1.0

pkgs   := libseccomp libcap libarchive libzstd libcrypto libcurl jansson sqlite3 zlib
isal   := $(shell pkg-config --exists libisal 2>/dev/null && echo libisal)
probe   = $(shell echo 'int main(void){return 0;}' | $(CC) -Werror $(1) -x c - -o /dev/null 2>/dev/null && echo $(1))

gate     := $(O)/gate.so
CPPFLAGS += -I. -Isrc -D_GNU_SOURCE -DOWNER_GATE_FILE='"$(gate)"' -DWHITTLE_VERSION='"$(VERSION)"' -D_FILE_OFFSET_BITS=64 \
            -include base/banned.h $(if $(isal),-DHAVE_ISAL)
WARN     := -Wall -Wextra -Wshadow -Wformat=2 -Wundef -Wvla -Wcast-qual -Wwrite-strings -Wstrict-prototypes \
            -Wmissing-prototypes -Wimplicit-fallthrough $(if $(WERROR),-Werror)
HARDEN   := -fstack-protector-strong $(call probe,-fstack-clash-protection) \
            $(call probe,-ftrivial-auto-var-init=zero) $(call probe,-fcf-protection) \
            $(call probe,-mbranch-protection=standard) -fPIE
CFLAGS   ?= -g
# Linked statically where the archive is there: each shared library costs 0.3 to 10 ms at every start, and libarchive's
# pulls in ICU and XML. libcurl (33 libraries) is loaded when a registry is first asked (src/registry/curl_lazy.h).
STATIC   ?= 1
lib       = $(if $(filter /%,$(if $(filter 1,$(STATIC)),$(shell $(CC) -print-file-name=lib$(1).a))),-l:lib$(1).a,-l$(1))
LDLIBS   := $(foreach l,archive bz2 lzma lz4 zstd sqlite3 seccomp cap jansson crypto z,$(call lib,$(l))) \
            $(if $(isal),-lisal) -lm -ldl -lpthread
LDFLAGS  += -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
ifeq ($(MODE),asan)
  CFLAGS += -O1 -fsanitize=address,undefined -fno-omit-frame-pointer
  LDFLAGS += -fsanitize=address,undefined
else ifeq ($(MODE),cov)
  CFLAGS += -O0 --coverage
  LDFLAGS += --coverage
else
  CFLAGS += -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif
ALL_CFLAGS := -std=gnu17 $(WARN) $(HARDEN) $(CFLAGS) $(shell pkg-config --cflags $(pkgs) $(isal) 2>/dev/null)

dirs  := src/base arch src/oci src/dockerfile src/layer src/store src/registry sandbox cross src/build src/cli
srcs  := $(foreach d,$(dirs),$(sort $(wildcard $(d)/*.c)))
lib   := $(filter-out src/cli/main.c,$(srcs))
objs  := $(srcs:%.c=$(O)/%.o)
lobjs := $(lib:%.c=$(O)/%.o)
units := $(patsubst tests/unit/%.c,$(O)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
hdrs  := $(foreach d,$(dirs),$(sort $(wildcard $(d)/*.h)))
fuzzers := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
benches := $(patsubst tests/bench/%.c,$(O)/bench/%,$(sort $(wildcard tests/bench/*.c)))
helpers := $(patsubst tests/fixtures/%.c,$(O)/fixtures/%,$(sort $(wildcard tests/fixtures/*.c)))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2);)

.PHONY: all check check-unit check-fuzz check-integration asan fuzz tidy analyze format check-headers check-layers \
        cov compdb golden bench torture deps demo install uninstall clean help

all: build/whittle ## build build/whittle (the default)

build/whittle: $(O)/whittle
	$(Q)ln -sf $(MODE)/whittle $@

$(O)/whittle: $(objs)
	$(call say,LD,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(objs) $(LDLIBS)

# The accelerator of recorded ownership (sandbox/gate/gate.c): freestanding, loaded by programs of a step, embedded here.
$(gate): sandbox/gate/gate.c
	@mkdir -p $(@D)
	$(call say,GATE,$@)$(CC) -std=gnu17 $(WARN) -D_GNU_SOURCE -O2 -fPIC -shared -nostdlib -ffreestanding \
		-fvisibility=hidden -fno-stack-protector $(call probe,-mno-red-zone) $(call probe,-fcf-protection=none) \
		-Wl,-soname,whittle-gate,-z,noexecstack,-z,norelro,-z,lazy,-z,noseparate-code,--build-id=none,-s -o $@ $<

$(O)/sandbox/owner_gate.o: $(gate)

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/libwhittle.a: $(lobjs)
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $(lobjs)

$(O)/unit/%: tests/unit/%.c $(O)/libwhittle.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CPPFLAGS) -Itests $(ALL_CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(O)/libwhittle.a $(LDLIBS) -lcmocka

$(O)/bench/%: tests/bench/%.c $(O)/libwhittle.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(O)/libwhittle.a $(LDLIBS)

$(O)/fixtures/%: tests/fixtures/%.c
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -std=gnu17 $(WARN) -D_GNU_SOURCE $(CFLAGS) -o $@ $< -Wl,--as-needed -lpthread -lseccomp

$(O)/bench/%: tests/bench/%.c $(O)/libwhittle.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(O)/libwhittle.a $(LDLIBS)

build/fuzz/%: tests/fuzz/%.c $(lib) $(hdrs) $(gate)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)clang $(CPPFLAGS) -std=gnu17 -g -O1 -fsanitize=address,undefined,fuzzer \
		$(shell pkg-config --cflags $(pkgs) $(isal)) -o $@ $< $(filter-out src/cli/%,$(lib)) $(LDLIBS)

check: all $(units) $(helpers) check-layers check-headers ## the whole test suite; ends "N passed, N failed, N skipped"
	$(Q)O=$(O) tests/run

check-unit: $(units) ## the unit tests alone
	$(Q)O=$(O) tests/run unit

check-integration: all $(helpers) ## the integration tests alone (T=name for one file)
	$(Q)O=$(O) tests/run integration $(T)

asan: ## the suite under address and undefined-behaviour sanitizers
	$(Q)$(MAKE) MODE=asan check

fuzz: $(fuzzers) ## run every fuzz target for T seconds (default 60)
	$(Q)tests/fuzz/run $(or $(T),60)

bench: all $(helpers) $(benches) ## run the benchmarks; each prints ratios of two things measured in one run
	$(Q)O=$(O) tests/bench/run

torture: all $(helpers) ## the slow tests: kill at every point, fail every call
	$(Q)O=$(O) tests/run torture

tidy: ## clang-tidy, one file per run (several at once give false va_list findings)
	$(Q)for f in $(srcs); do clang-tidy --quiet $$f -- $(CPPFLAGS) -std=gnu17 || exit 1; done

analyze: ## gcc -fanalyzer, cppcheck and shellcheck
	$(Q)for f in $(srcs); do $(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fanalyzer -c -o /dev/null $$f || exit 1; done
	$(Q)cppcheck --quiet --enable=warning,portability --inline-suppr --error-exitcode=1 -Isrc -I. $(dirs)
	$(Q)shellcheck -x $$(git ls-files '*.sh' .ci/run tests/run)

format: ## clang-format the lines changed since HEAD
	$(Q)git clang-format-14 -q --style=file HEAD -- $(dirs) || git clang-format -q HEAD -- $(dirs)

check-headers: ## every header compiles on its own
	$(Q)for h in $(hdrs); do echo "#include \"$${h#src/}\"" | $(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Wno-unused -fsyntax-only -x c - || exit 1; done

check-layers: ## no include points upward (tests/layers.awk holds the table)
	$(Q)awk -f tests/layers.awk $(srcs) $(hdrs)

cov: ## line coverage of the unit and integration tests, as text
	$(Q)$(MAKE) MODE=cov check && gcovr -r . build/cov

compdb: ## compile_commands.json for editors
	$(Q)bear -- $(MAKE) -B MODE=compdb all

golden: all ## rewrite the expected outputs under tests/golden; a person reads the diff
	$(Q)O=$(O) tests/golden/run --rewrite

deps: ## install the Debian packages that building and testing need (sudo where not root)
	$(Q)tests/install-deps

demo: ## the main job on this machine: golang to alpine for amd64, arm64 and arm/v7
	$(Q)examples/golang-alpine/demo

# The AppArmor profile is for AppArmor 4 (Ubuntu 23.10); an older one would stumble over it at boot.
install: all ## honours DESTDIR and PREFIX; strips the program (NOSTRIP=1 does not)
	install -D -m 0755 $(if $(NOSTRIP),,-s) $(O)/whittle $(DESTDIR)$(PREFIX)/bin/whittle
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/doc/whittle
	install -m 0644 docs/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 0644 README.md LICENSE CHANGELOG.md $(DESTDIR)$(PREFIX)/share/doc/whittle/
	if [ -n "$(DESTDIR)" ] || [ -e $(SYSCONFDIR)/apparmor.d/abi/4.0 ]; then \
		install -d $(DESTDIR)$(SYSCONFDIR)/apparmor.d && \
		sed 's|@PROGRAM@|$(PREFIX)/bin/whittle|' sandbox/apparmor/whittle.in >$(DESTDIR)$(SYSCONFDIR)/apparmor.d/whittle; \
	fi

uninstall: ## removes what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/whittle $(DESTDIR)$(PREFIX)/share/man/man1/whittle*.1
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/whittle
	rm -f $(DESTDIR)$(SYSCONFDIR)/apparmor.d/whittle

clean: ## remove build/
	rm -rf build compile_commands.json

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' Makefile

-include $(objs:.o=.d) $(units:=.d)
