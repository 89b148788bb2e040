# Tidemark: the consumer-lag monitor for Kafka and for its own bundled log store.
#
#   make          build build/tidemark
#   make run      install what is missing, build, start the demo; Ctrl-C ends it
#   make stack    the same with Prometheus and Alertmanager on top: real alerts within two minutes
#   make test     install what is missing, build, run every test; ends with "N passed, N failed"
#   make test-thread   what threads share, under the thread sanitizer
#   make test-kafka-versions   the tests that need a broker, against older Kafkas
#   make check    formatting, static analysis, borders between folders, generated docs up to date
#   make bench    the measurements, as ratios against something in the same run
#   make soak     100,000 scrapes and 100 reloads in one run, and the real deadlines: nothing may grow
#   make docs     regenerate what in README.md, examples/, dashboards/ and alerts/ derives from the code
#   make pictures draw the dashboards as they show the demo, into dashboards/pictures
#   make format   format the sources in place
#   make setup    install the packages that building and running need
#   make install  install the program with its unit, man page and completion, the log store's library, the
#                 dashboards and the alerts (PREFIX=/usr/local, DESTDIR=)
#   make deb      make a Debian package of it, without the library
#   make clean    remove what was built
#   make help     print this
#
# Variables: BUILD=dir  CC=gcc|clang  CFLAGS=…  WERROR=1  SANITIZE=address,undefined|thread

BUILD    ?= build
CC       ?= cc
CFLAGS   ?= -O2 -g
PYTHON   ?= /usr/bin/python3
SANITIZE ?=
WERROR   ?=

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# As many jobs as there are processors, unless -j says otherwise.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif

# --- packages (Debian) -------------------------------------------------------------------------------------

PACKAGES_BUILD := gcc libc6-dev pkg-config librdkafka-dev libmicrohttpd-dev libjansson-dev libcurl4-gnutls-dev libyaml-dev libgnutls28-dev libcrypt-dev zlib1g-dev
PACKAGES_CHECK := libcmocka-dev libsqlite3-dev clang clang-format clang-tidy shellcheck python3
PACKAGES_FUZZ  := clang libclang-rt-14-dev
PACKAGES_STACK := prometheus prometheus-alertmanager python3
PACKAGES_TEST  := libcmocka-dev python3 python3-pytest python3-pytest-xdist python3-prometheus-client python3-confluent-kafka \
                  python3-jsonschema python3-yaml python3-websocket chromium python3-pip systemd dpkg-dev man-db zsh \
                  $(PACKAGES_STACK) openssl default-jre-headless maven curl
PACKAGES_PICTURES := prometheus chromium pngquant fonts-dejavu-core
PACKAGES_BENCH := nginx-light libsqlite3-dev

# $(call install,packages): installs those that are missing, and does nothing when none is.
define install
@missing=""; for package in $(1); do \
    dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
done; \
if [ -n "$$missing" ]; then \
    echo "installing:$$missing"; \
    sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
    export DEBIAN_FRONTEND=noninteractive; \
    $$sudo apt-get update -qq && $$sudo apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
fi
endef

.PHONY: all run test check bench docs format setup setup-test setup-check setup-fuzz setup-bench clean help

setup:
	$(call install,$(PACKAGES_BUILD))
setup-stack: setup
	$(call install,$(PACKAGES_STACK))
setup-test: setup
	$(call install,$(PACKAGES_TEST))
setup-check: setup
	$(call install,$(PACKAGES_CHECK))
setup-fuzz: setup
	$(call install,$(PACKAGES_FUZZ))
setup-bench: setup-test
	$(call install,$(PACKAGES_BENCH))

# --- sources -----------------------------------------------------------------------------------------------

MAIN      := exporter/main.c
LOGSTORE  := $(wildcard logstore/*.c)
# What the thread sanitizer needs to see librdkafka's threads.
THREADS   := $(if $(findstring thread,$(SANITIZE)),tests/lib/c11_threads.c)
TIDEMARK  := $(filter-out $(MAIN),$(wildcard exporter/*.c exporter/base/*.c exporter/web/*.c collectors/*.c collectors/*/*.c logstore/cli/*.c))
UNIT      := $(wildcard tests/unit/test_*.c)
BENCHES   := $(wildcard tests/bench/*.c)
SCENARIOS := $(wildcard tests/scenarios/*.c)

objects    = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
UNIT_PROGRAMS  := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT))
SCENARIO_PROGRAMS := $(patsubst tests/scenarios/%.c,$(BUILD)/tests/scenarios/%,$(SCENARIOS))
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(BENCHES))

LIBRARIES  = rdkafka libmicrohttpd jansson libcurl yaml-0.1 gnutls zlib
WARNINGS  := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(if $(WERROR),-Werror)
SANITIZERS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
COMPILE    = $(CC) -std=c11 -D_GNU_SOURCE -I. -I$(BUILD)/gen $(WARNINGS) $(SANITIZERS) -pthread -fPIC $(CFLAGS)
LINK       = $(CC) $(SANITIZERS) -pthread $(CFLAGS) $(LDFLAGS)
LIBS       = $(shell pkg-config --libs $(LIBRARIES)) -lcrypt -lm

# --- building ----------------------------------------------------------------------------------------------

all: $(BUILD)/tidemark

$(BUILD)/tidemark: $(call objects,$(MAIN) $(THREADS)) $(BUILD)/libtidemark.a $(BUILD)/liblogstore.a
	$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/libtidemark.a: $(call objects,$(TIDEMARK))
$(BUILD)/liblogstore.a: $(call objects,$(LOGSTORE) exporter/base/buf.c exporter/base/error.c exporter/base/clock.c)
$(BUILD)/%.a:
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

# What it embeds.
$(BUILD)/obj/exporter/web/assets.o: exporter/web/screen.css exporter/web/screen.js

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libtidemark.a $(BUILD)/liblogstore.a
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/tests/scenarios/%: $(BUILD)/obj/tests/scenarios/%.o $(BUILD)/liblogstore.a
	@mkdir -p $(@D)
	$(LINK) -o $@ $^

$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/libtidemark.a $(BUILD)/liblogstore.a
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

# The log store's library for other people's programs: only its own names can be seen from outside.
PREFIX          ?= /usr/local
LOGSTORE_MAJOR  := 1
LOGSTORE_VERSION := $(LOGSTORE_MAJOR).0.0
LOGSTORE_OBJECTS := $(call objects,$(LOGSTORE) exporter/base/buf.c exporter/base/error.c exporter/base/clock.c)
PUBLIC          := $(BUILD)/public

# One object in which only the public names are left, under the names that the installed header gives them.
$(PUBLIC)/logstore.o: $(LOGSTORE_OBJECTS)
	@mkdir -p $(@D)
	ld -r -o $@ $^
	objcopy --redefine-sym error_text=logstore_error_text --redefine-sym error_clear=logstore_error_clear $@
	objcopy -w --keep-global-symbol='logstore_*' $@

$(PUBLIC)/liblogstore.so.$(LOGSTORE_MAJOR): $(PUBLIC)/logstore.o
	$(LINK) -shared -Wl,-soname,$(@F) -o $@ $<

$(PUBLIC)/liblogstore.a: $(PUBLIC)/logstore.o
	@rm -f $@
	$(AR) rcs $@ $<

$(PUBLIC)/logstore.h: logstore/logstore.h exporter/base/error.h exporter/base/str.h logstore/public_header.py
	@mkdir -p $(@D)
	$(PYTHON) logstore/public_header.py $< >$@

.PHONY: install install-program install-library install-dashboards install-alerts
install: install-program install-library install-dashboards install-alerts

install-library: $(addprefix $(PUBLIC)/,liblogstore.so.$(LOGSTORE_MAJOR) liblogstore.a logstore.h)
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/logstore
	install -m 644 $(PUBLIC)/liblogstore.a $(PUBLIC)/liblogstore.so.$(LOGSTORE_MAJOR) $(DESTDIR)$(PREFIX)/lib
	ln -sf liblogstore.so.$(LOGSTORE_MAJOR) $(DESTDIR)$(PREFIX)/lib/liblogstore.so
	install -m 644 $(PUBLIC)/logstore.h $(DESTDIR)$(PREFIX)/include/logstore
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(LOGSTORE_VERSION)|' logstore/logstore.pc.in \
	    >$(DESTDIR)$(PREFIX)/lib/pkgconfig/logstore.pc

DOCUMENTS      = $(PREFIX)/share/doc/tidemark
SYSTEMD_UNITS ?= $(PREFIX)/lib/systemd/system
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions

install-program: $(BUILD)/tidemark
	install -d $(addprefix $(DESTDIR),$(DOCUMENTS)/examples $(SYSTEMD_UNITS) $(addprefix $(PREFIX)/,bin share/man/man1 \
	    share/bash-completion/completions) $(ZSH_COMPLETIONS))
	install $(BUILD)/tidemark $(DESTDIR)$(PREFIX)/bin
	sed 's|@BINDIR@|$(PREFIX)/bin|' packaging/tidemark.service.in >$(DESTDIR)$(SYSTEMD_UNITS)/tidemark.service
	$(PYTHON) packaging/man.py $< $(DOCUMENTS) >$(DESTDIR)$(PREFIX)/share/man/man1/tidemark.1
	install -m 644 packaging/tidemark.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tidemark
	install -m 644 packaging/_tidemark $(DESTDIR)$(ZSH_COMPLETIONS)
	install -m 644 README.md CHANGELOG.md LICENSE $(DESTDIR)$(DOCUMENTS)
	install -m 644 examples/* $(DESTDIR)$(DOCUMENTS)/examples

.PHONY: deb
deb: all
	$(call install,dpkg-dev)
	+@MAKE="$(MAKE)" packaging/deb.sh $(BUILD)

# A text as sed's s|…|…| writes it.
literally = $(subst |,\|,$(subst &,\&,$(subst \,\\,$(1))))

# RUNBOOKS and GRAFANA are where the alerts' links to their runbooks and dashboards lead.
ALERTS   := $(PREFIX)/share/tidemark/alerts
RUNBOOKS ?= file://$(ALERTS)/runbooks
GRAFANA  ?= http://localhost:3000
install-alerts:
	install -d $(addprefix $(DESTDIR)$(ALERTS)/,rules kubernetes runbooks moving-in)
	for file in $(patsubst alerts/%,%,$(wildcard alerts/rules/*.yml alerts/kubernetes/*.yaml)); do \
	    sed 's|runbook: runbooks/|runbook: $(call literally,$(RUNBOOKS))/|; s|dashboard: /d/|dashboard: $(call literally,$(GRAFANA))/d/|' alerts/$$file \
	        >$(DESTDIR)$(ALERTS)/$$file || exit 1; \
	done
	install -m 644 alerts/runbooks/*.md $(DESTDIR)$(ALERTS)/runbooks
	install -m 644 alerts/moving-in/* $(DESTDIR)$(ALERTS)/moving-in
	install -m 644 alerts/alertmanager.yml alerts/prometheus.yml $(DESTDIR)$(ALERTS)

DASHBOARDS  := $(PREFIX)/share/tidemark/dashboards
PROVISIONING = $(DESTDIR)$(PREFIX)/share/tidemark/grafana/provisioning
install-dashboards:
	install -d $(DESTDIR)$(DASHBOARDS) $(PROVISIONING)/datasources $(PROVISIONING)/dashboards
	install -m 644 dashboards/json/*.json $(DESTDIR)$(DASHBOARDS)
	install -m 644 dashboards/provisioning/datasources/tidemark.yaml $(PROVISIONING)/datasources
	sed 's|path: .*|path: $(call literally,$(DASHBOARDS))|' dashboards/provisioning/dashboards/tidemark.yaml >$(PROVISIONING)/dashboards/tidemark.yaml

# Hostile bytes, by libFuzzer: not a part of the tests, since it never ends by itself.
FUZZ_SECONDS ?= 60
.PHONY: fuzz-logstore fuzz-kafka fuzz-judgement
fuzz-logstore fuzz-kafka fuzz-judgement: fuzz-%: setup-fuzz
	@$(MAKE) --no-print-directory CC=clang CFLAGS='-O1 -g' SANITIZE=fuzzer-no-link,address,undefined BUILD=$(BUILD)/fuzz $(BUILD)/fuzz/tests/fuzz/fuzz_$*
	@mkdir -p $(BUILD)/tests/fuzz/corpus-$*
	$(BUILD)/fuzz/tests/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(BUILD)/tests/fuzz/ $(BUILD)/tests/fuzz/corpus-$*

$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/libtidemark.a $(BUILD)/liblogstore.a
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS)

fuzz-judgement: $(BUILD)/tests/fuzz/corpus-judgement/recording
$(BUILD)/tests/fuzz/corpus-judgement/recording: tests/incidents/death_spiral-0.jsonl.gz
	@mkdir -p $(@D)
	gzip -dc $< | sed 2q >$@

# To be measured against.
$(BUILD)/tests/bench/bench_logstore: LIBS += -lsqlite3

.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# --- using -------------------------------------------------------------------------------------------------

run: setup
	@$(MAKE) --no-print-directory all
	@$(BUILD)/tidemark demo

.PHONY: stack
stack: setup-stack
	@$(MAKE) --no-print-directory all
	@$(PYTHON) alerts/stack --tidemark $(BUILD)/tidemark

# The tests want both builds; tests/run finds them by these two folders.
.PHONY: test-programs
test-programs: all $(UNIT_PROGRAMS) $(SCENARIO_PROGRAMS)
.PHONY: programs
programs: test-programs $(BENCH_PROGRAMS)

test: setup-test
	@$(MAKE) --no-print-directory test-programs
	@$(MAKE) --no-print-directory test-programs BUILD=$(BUILD)/sanitized SANITIZE=address,undefined CFLAGS='-O1 -g'
	@$(MAKE) --no-print-directory kafka python-tools
	@$(PYTHON) tests/run --build $(BUILD) --build $(BUILD)/sanitized --kafka $(KAFKA)

# Scrapes, reloads, polls, protection and Kafka's clients at once. Not a part of `make test`: it would be a third
# build.
THREAD_TESTS := test_kafka_follow or test_kafka_failures or test_kafka_brokers or test_formats or test_http_limits \
                or test_web_config or test_cardinality or test_groups or test_reload or test_state
.PHONY: test-thread
test-thread: setup-test
	@$(MAKE) --no-print-directory test-programs BUILD=$(BUILD)/thread SANITIZE=thread CFLAGS='-O1 -g'
	@$(MAKE) --no-print-directory kafka
	@$(PYTHON) tests/run --build $(BUILD)/thread --kafka $(KAFKA) --suite integration '($(THREAD_TESTS)) and not hundred and not bad_file'
	@$(PYTHON) tests/run --build $(BUILD)/thread --suite unit threads

# A Kafka to test against: its jars, fetched once a version.
KAFKA_VERSION ?= 4.3.1
KAFKA         := $(BUILD)/kafka-$(KAFKA_VERSION)
KAFKA_LOG     := $(BUILD)/fetch-kafka.log

.PHONY: kafka
kafka: $(KAFKA)/.complete
	@:
$(KAFKA)/.complete: tests/lib/kafka/pom.xml
	@echo "fetching Kafka $(KAFKA_VERSION)"
	@rm -rf $(@D) && mkdir -p $(dir $(@D))
	@mvn -q -B -l $(abspath $(KAFKA_LOG)) -f $< -Dkafka.version=$(KAFKA_VERSION) -DoutputDirectory=$(abspath $(@D)) \
	    dependency:copy-dependencies >/dev/null 2>&1 || { cat $(KAFKA_LOG); exit 1; }
	@touch $@

# What the dashboards are tested with, which Debian doesn't have: a parser of PromQL, and Grafana's schema of the oldest
# and the newest version that it is published for. A folder each, fetched once a version.
PYTHON_TOOLS := $(BUILD)/python
.PHONY: python-tools
python-tools: $(patsubst tests/lib/python/%.txt,$(PYTHON_TOOLS)/%/.complete,$(wildcard tests/lib/python/*.txt))
	@:
$(PYTHON_TOOLS)/%/.complete: tests/lib/python/%.txt
	@echo "fetching $$(cat $<)"
	@rm -rf $(@D) && mkdir -p $(@D)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --target $(@D) -r $<
	@touch $@

# The tests that need a broker, against older ones too.
KAFKA_VERSIONS ?= 2.8.2 3.9.1 4.1.0
.PHONY: test-kafka-versions
test-kafka-versions: setup-test
	@$(MAKE) --no-print-directory all
	@failed=""; for version in $(KAFKA_VERSIONS); do \
	    echo "Kafka $$version"; \
	    $(MAKE) --no-print-directory kafka KAFKA_VERSION=$$version && \
	    $(PYTHON) tests/run --build $(BUILD) --kafka $(BUILD)/kafka-$$version --suite integration 'kafka and not dashboard' || \
	        failed="$$failed $$version"; \
	done; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

# GROUPS_OBSERVED='100 1000' measures a million positions too, for some ten minutes more.
GROUPS_OBSERVED ?= 100
# PEER='COMMAND@PORT' is another exporter to compare with; BOOTSTRAP in it becomes the brokers' addresses.
bench: setup-bench
	@$(MAKE) --no-print-directory all kafka $(BENCH_PROGRAMS)
	@$(PYTHON) tests/bench/run --build $(BUILD) --kafka $(KAFKA) --groups $(GROUPS_OBSERVED) $(if $(PEER),--peer '$(PEER)')
	@$(PYTHON) tests/bench/run_http --build $(BUILD)
	@$(PYTHON) tests/bench/run_rules --build $(BUILD)
	@$(BUILD)/tests/bench/bench_logstore

.PHONY: soak
soak: setup-test
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/bench/run_soak --build $(BUILD)

check: setup-check
	@tests/check --build $(BUILD)

docs: all
	@$(PYTHON) tests/lib/docs.py --build $(BUILD) --write
	@$(PYTHON) dashboards/generate.py --build $(BUILD) --write
	@$(PYTHON) alerts/kubernetes/generate.py --write

# Of each dashboard, as it shows the demo; takes some minutes.
.PHONY: pictures
pictures:
	$(call install,$(PACKAGES_PICTURES))
	@$(MAKE) --no-print-directory all
	@$(PYTHON) dashboards/pictures/draw.py --build $(BUILD)

FORMATTED := $(shell git ls-files '*.c' '*.h' 2>/dev/null)
format: setup-check
	clang-format -i $(FORMATTED)

clean:
	rm -rf $(BUILD)

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))
