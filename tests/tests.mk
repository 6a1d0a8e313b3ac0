# What checks, measures and packages Merpati; included by the Makefile.

# --- the two commands, which need nothing but git, make and a shell ----------------------------------------------------
# pkg-config is asked when make starts, so what needs the packages runs in a second make.

.PHONY: deps
deps:
	@tests/deps check

.PHONY: check
check:
	@tests/deps check
	@$(MAKE) --no-print-directory check-all

.PHONY: demo
demo:
	@tests/deps demo
	@$(MAKE) --no-print-directory demo-run

.PHONY: demo-run
demo-run: all users
	@MERPATI_BIN=$(abspath $(B)/bin) ONCE=$(ONCE) python3 tests/demo/demo.py

# As root every program has a uid of its own; an ordinary user needs none of them.
.PHONY: users
users:
	@etc/make-users

# --- tests --------------------------------------------------------------------------------------------------------------

# What the sanitizers watch in `make asan` and in `make check`: the unit tests and every fuzz target over its corpus.
SANITIZE := address,undefined
ASAN := VARIANT=asan CFLAGS="-O1 -g -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer" \
	LDFLAGS="-fsanitize=$(SANITIZE)"

.PHONY: check-all
check-all:
	@tests/run-check $(MAKE)

.PHONY: unit
unit: $(UNIT_TESTS)
	@tests/run-unit $(UNIT_TESTS)

.PHONY: system
system: all users $(SYSTEM_HELPERS)
	@MERPATI_BIN=$(abspath $(B)/bin) tests/run-system $(TESTS)

.PHONY: asan
asan:
	@$(MAKE) --no-print-directory $(ASAN) unit

# The whole suite under the sanitizers: slow, so not a part of check.
.PHONY: asan-system
asan-system:
	@$(MAKE) --no-print-directory $(ASAN) system

# --- fuzzing ------------------------------------------------------------------------------------------------------------
# `make fuzz` builds all targets and runs each for FUZZ_SECONDS from its corpus; FUZZ=NAME picks one.

FUZZ_SECONDS ?= 60
FUZZ_MAKE := VARIANT=fuzz CC=clang CFLAGS="-O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer" \
	LDFLAGS="-fsanitize=address,undefined,fuzzer"

.PHONY: fuzz
fuzz: fuzz-build
	@tests/run-fuzz $(FUZZ_SECONDS) $(if $(FUZZ),$(wildcard $(BUILD)/fuzz/fuzz/*$(FUZZ)*_fuzz),$(FUZZ_SOURCES:tests/fuzz/%.c=$(BUILD)/fuzz/fuzz/%))

.PHONY: fuzz-build
fuzz-build:
	@$(MAKE) --no-print-directory $(FUZZ_MAKE) fuzz-targets

.PHONY: fuzz-targets
fuzz-targets: $(FUZZ_TARGETS)

# --- measuring ----------------------------------------------------------------------------------------------------------

.PHONY: bench
bench: all users $(BENCH_PROGRAMS)
	@MERPATI_BIN=$(abspath $(B)/bin) MERPATI_BENCH=$(abspath $(B)/bench) python3 tests/bench/bench.py $(BENCH)

# --- reading ------------------------------------------------------------------------------------------------------------

.PHONY: layering
layering:
	@tests/layering $(FOLDERS)

.PHONY: tidy
tidy: compile_commands
	@printf '%s\n' $(TIDY_SOURCES) | xargs -P "$$(nproc)" -n 4 clang-tidy --quiet -p . 2>&1 | tests/tidy-filter

TIDY_SOURCES ?= $(SOURCES)

# Those who read it, clang-tidy and the editors, are all clang: neither CC nor CFLAGS, which may be another compiler's.
COMPILE_COMMAND = clang -std=gnu11 $(BASE_CPPFLAGS) $(PKG_CFLAGS) $(WARNINGS) -O2

.PHONY: compile_commands
compile_commands:
	@tests/compile-commands '$(subst ','\'',$(COMPILE_COMMAND))' $(SOURCES) > compile_commands.json

.PHONY: format
format:
	@clang-format -i $(SOURCES) $(HEADERS)

.PHONY: format-check
format-check:
	@clang-format --dry-run $(SOURCES) $(HEADERS) 2>&1 | grep -c 'warning: code should' | sed 's/$$/ places differ from .clang-format/'

# --- installing and packing -----------------------------------------------------------------------------------------------

# All but what has a place of its own: daemons, and what `merpati` hands over to.
LIBEXEC_PROGRAMS := $(filter-out merpati sendmail,$(notdir $(PROGRAMS)))
MAN_PAGES := $(wildcard man/*.[1578])

.PHONY: install
install: all
	install -d $(addprefix $(DESTDIR),$(PREFIX)/libexec/merpati $(PREFIX)/bin $(PREFIX)/sbin $(SYSCONFDIR)/merpati \
		$(SYSCONFDIR)/pam.d $(PREFIX)/lib/sysusers.d $(PREFIX)/lib/tmpfiles.d $(PREFIX)/lib/systemd/system)
	install -m 755 $(addprefix $(B)/bin/,$(LIBEXEC_PROGRAMS)) $(DESTDIR)$(PREFIX)/libexec/merpati
	install -m 755 $(B)/bin/merpati $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/bin/sendmail $(DESTDIR)$(PREFIX)/sbin
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/bin/mailq
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/bin/newaliases
	@# A configuration that is there already is the postmaster's.
	[ -e $(DESTDIR)$(SYSCONFDIR)/merpati/merpati.conf ] || install -m 644 etc/merpati.conf $(DESTDIR)$(SYSCONFDIR)/merpati
	[ -e $(DESTDIR)$(SYSCONFDIR)/pam.d/merpati ] || install -m 644 etc/merpati.pam $(DESTDIR)$(SYSCONFDIR)/pam.d/merpati
	install -m 644 etc/merpati.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/merpati.conf
	install -m 644 etc/merpati.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/merpati.conf
	cd etc/systemd && find . -type f | while read -r unit; do \
		install -D -m 644 "$$unit" "$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit" && \
		sed -i 's|/usr/libexec/merpati|$(PREFIX)/libexec/merpati|' "$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit" || exit 1; done
	@for page in $(MAN_PAGES); do \
		d=$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}; install -d $$d && install -m 644 $$page $$d || exit 1; done

.PHONY: dist
dist:
	git archive --format=tar.gz --prefix=merpati-$(VERSION)/ -o merpati-$(VERSION).tar.gz HEAD

# Builds twice in two directories and compares: the same source must give the same bytes.
.PHONY: repro
repro:
	@tests/repro $(MAKE)

.PHONY: clean
clean:
	rm -rf build compile_commands.json

.PHONY: help
help:
	@echo 'make                 build everything into build/release/bin'
	@echo 'make demo [ONCE=1]   set up, build, and show a letter travel between two servers'
	@echo 'make check           set up, build, and run all tests'
	@echo 'make unit | system [TESTS=name] | asan | asan-system | fuzz [FUZZ=name FUZZ_SECONDS=60] | bench'
	@echo 'make tidy | format | format-check | layering | compile_commands | repro'
	@echo 'make install [PREFIX= DESTDIR=] | dist | deps | users | clean'
