# The extension, built with PGXS, and the project's entry points.
#
#   make            build the extension
#   make install    install it into the PostgreSQL of PG_CONFIG
#   make run        build everything and start a private stack under .stack/
#   make test       run every test; FUZZ_SECONDS=n for each target of the proxy's fuzzing
#   make fuzz       fuzz the writer and the proxy's parsers; SECONDS=n for each target
#   make soak       the fault tests of the event path; ROUNDS=n times over; then a million reads of the cache, and 10
#                   million inputs for each parser
#   make bench      measure, as ratios against named peers
#   make loadtest   the assessment's load test; SCALE=n times its durations (0.1)
#   make stop       end what `make run` started, keeping its data
#   make clean-stack  stop it and remove its data
PG_CONFIG ?= pg_config

EXTENSION = extension/muster
MODULE_big = muster
DATA_built = extension/muster--1.0.sql

SOURCES = $(sort $(wildcard extension/src/*.cpp extension/src/*/*.cpp))
OBJS = $(SOURCES:.cpp=.o)

# ereport() jumps over frames, so server code has no exceptions, no RTTI and nothing with a lifetime
# that the C++ runtime would have to know of.
PG_CXXFLAGS = -std=c++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fvisibility=hidden \
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-register -MMD -MP
# -isystem: our warnings are about our code, not about the server's headers and their macros.
PG_CPPFLAGS = -I$(CURDIR)/extension/src -isystem $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
ISOLATION = $(patsubst specs/%.spec,%,$(sort $(wildcard specs/*.spec)))
EXTRA_CLEAN = extension/muster--1.0.sql $(OBJS:.o=.d)

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
override with_llvm := no
ifneq ($(PGXS),)
include $(PGXS)
else
all install installcheck clean:
	@echo 'make: no $(PG_CONFIG) here; deploy/packages run installs what is missing' >&2; exit 1
endif

extension/muster--1.0.sql: $(sort $(wildcard extension/sql/*.sql))
	{ printf '%s\n' '\echo Use "CREATE EXTENSION muster" to load this file. \quit'; cat $^; } > $@

-include $(OBJS:.o=.d)

# A recursive make: what PGXS is, and where, may be known only after the packages are there.
run:
	@deploy/packages run
	@echo 'building the extension'
	@$(MAKE) -s --no-print-directory all
	@echo 'building the proxy'
	@deploy/build-proxy muster-proxy
	@MUSTER_DEMO=$${MUSTER_DEMO-1} deploy/stack start
	@deploy/welcome

test:
	@test/run $(FUZZ_SECONDS)

fuzz:
	@test/fuzz $(SECONDS)

soak:
	@test/soak $(ROUNDS)
	@INPUTS=10000000 test/fuzz 1 proxy

bench:
	@bench/run

loadtest:
	@deploy/packages bench
	@$(MAKE) -s --no-print-directory all
	@deploy/build-proxy muster-proxy
	@bench/loadtest $(SCALE)

stop:
	@deploy/stack stop

clean-stack:
	@deploy/stack clean

format-check:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format --dry-run --Werror

.PHONY: run test fuzz soak bench loadtest stop clean-stack format-check
.DEFAULT_GOAL := all
