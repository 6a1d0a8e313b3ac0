# Merpati. `make help` lists the targets. Interface: CC CFLAGS LDFLAGS PREFIX DESTDIR BUILD.
# A folder is a program: DIR/main.c becomes the program DIR, DIR/NAME_main.c a further program NAME (with _ as -).
# A program links its own folder's archive and common's, nothing else.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

VERSION := 0.1
CC ?= cc
ifeq ($(origin CC),default)
CC := cc
endif
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
CFLAGS ?= -O2 -g

VARIANT ?= release
BUILD ?= build
B := $(BUILD)/$(VARIANT)

FOLDERS := smtpd queue deliver popd imapd auth
PKGS := openssl libbsd libseccomp zlib

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wimplicit-fallthrough -Wundef -Wpointer-arith -Wwrite-strings \
	-Werror=incompatible-pointer-types -Werror=int-conversion -Werror=implicit-function-declaration
HARDENING := -fstack-protector-strong -fPIE
BASE_CPPFLAGS := -I. -D_GNU_SOURCE -DMERPATI_VERSION='"$(VERSION)"' -DMERPATI_CONF='"$(SYSCONFDIR)/merpati/merpati.conf"' \
	-DMERPATI_LIBEXEC='"$(PREFIX)/libexec/merpati"'
ifeq ($(findstring -O,$(CFLAGS)),-O)
ifeq ($(findstring -fsanitize,$(CFLAGS)),)
BASE_CPPFLAGS += -D_FORTIFY_SOURCE=2
endif
endif
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lresolv -lpthread -lidn2
ALL_CFLAGS = -std=gnu11 $(BASE_CPPFLAGS) $(PKG_CFLAGS) $(WARNINGS) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
LIBS_auth := -lpam -lcrypt

SOURCES := $(wildcard common/*.c common/*/*.c $(FOLDERS:%=%/*.c))
MAINS := $(filter %/main.c %_main.c,$(SOURCES))
MODULES := $(filter-out $(MAINS),$(SOURCES))
HEADERS := $(wildcard common/*.h common/*/*.h $(FOLDERS:%=%/*.h))
PROGRAMS := $(sort $(foreach m,$(MAINS),$(B)/bin/$(if $(filter main.c,$(notdir $m)),$(patsubst %/,%,$(dir $m)),$(subst _,-,$(patsubst %_main.c,%,$(notdir $m))))))
UNIT_SOURCES := $(wildcard tests/unit/*_test.c)
UNIT_TESTS := $(UNIT_SOURCES:tests/unit/%.c=$(B)/unit/%)
FUZZ_SOURCES := $(wildcard tests/fuzz/*_fuzz.c)
FUZZ_TARGETS := $(FUZZ_SOURCES:tests/fuzz/%.c=$(B)/fuzz/%)
BENCH_SOURCES := $(wildcard tests/bench/*.c)
BENCH_PROGRAMS := $(BENCH_SOURCES:tests/bench/%.c=$(B)/bench/%)

objects = $(patsubst %.c,$(B)/obj/%.o,$(1))

.PHONY: all
all: $(PROGRAMS) $(B)/bin/mailq $(B)/bin/newaliases

# --- objects: rebuilt when the flags change -------------------------------------------------------------------------

FLAGS_FILE := $(B)/flags
FLAGS_NOW := $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(shell mkdir -p $(B); printf '%s' '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $(FLAGS_FILE) || printf '%s' '$(subst ','\'',$(FLAGS_NOW))' > $(FLAGS_FILE))

$(B)/obj/%.o: %.c $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# cmocka's macros narrow size_t.
$(B)/obj/tests/%.o: tests/%.c $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Wno-conversion -MMD -MP -c -o $@ $<

$(B)/lib%.a:
	@rm -f $@
	@mkdir -p $(@D)
	ar rcs $@ $(filter %.o,$^)

$(foreach f,common $(FOLDERS),$(eval $(B)/lib$(f).a: $(call objects,$(filter $(f)/%,$(MODULES)))))

define program_rule
$(B)/bin/$(1): $(call objects,$(2)) $(B)/lib$(3).a $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS_$(3)) $$(LIBS)
endef
$(foreach m,$(MAINS),$(eval $(call program_rule,$(if $(filter main.c,$(notdir $m)),$(patsubst %/,%,$(dir $m)),$(subst _,-,$(patsubst %_main.c,%,$(notdir $m)))),$m,$(patsubst %/,%,$(dir $m)))))

$(B)/bin/mailq $(B)/bin/newaliases: | $(B)/bin/sendmail
	ln -sf sendmail $@

# --- unit tests: tests/unit/FOLDER_MODULE_test.c links FOLDER and common ----------------------------------------------

folder_of = $(firstword $(subst _, ,$(notdir $(1))))
folder_archives = $(sort $(B)/lib$(call folder_of,$(1)).a) $(B)/libcommon.a

define unit_rule
$(B)/unit/$(basename $(notdir $(1))): $(call objects,$(1)) $(call folder_archives,$(1))
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) $(call folder_archives,$(1)) $$(LIBS_$(call folder_of,$(1))) $$(LIBS) -lcmocka
endef
$(foreach t,$(UNIT_SOURCES),$(eval $(call unit_rule,$t)))

define bench_rule
$(B)/bench/$(basename $(notdir $(1))): $(call objects,$(1)) $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(filter-out %/libcommon.a,$$(filter %.a,$$^)) $(B)/libcommon.a $$(LIBS)
endef
$(foreach t,$(BENCH_SOURCES),$(eval $(call bench_rule,$t)))

# The scheduler's week in virtual time, of which a test asserts bounds and the bench shows the figures.
$(B)/unit/queue_schedule_week_test $(B)/bench/schedule_week: $(call objects,tests/simulation/schedule_week.c)
$(B)/bench/schedule_week: $(B)/libqueue.a

# Helpers of the system tests: one source each.
SYSTEM_HELPERS := $(patsubst tests/system/%.c,$(B)/system/%,$(wildcard tests/system/*.c))
$(B)/system/%: $(B)/obj/tests/system/%.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(ALL_LDFLAGS) -o $@ $<

# What they preload into daemons: without sanitizers of its own.
SYSTEM_HELPERS += $(patsubst tests/system/preload/%.c,$(B)/system/%.so,$(wildcard tests/system/preload/*.c))
$(B)/system/%.so: tests/system/preload/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARNINGS) -O2 -g -fPIC -shared -o $@ $<

define fuzz_rule
$(B)/fuzz/$(basename $(notdir $(1))): $(call objects,$(1)) $(call folder_archives,$(1))
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(ALL_LDFLAGS) -o $$@ $(call objects,$(1)) $(call folder_archives,$(1)) $$(LIBS_$(call folder_of,$(1))) $$(LIBS)
endef
$(foreach t,$(FUZZ_SOURCES),$(eval $(call fuzz_rule,$t)))

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

include tests/tests.mk
