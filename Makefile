# Passerelle: the commands of every day. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test bench chaos rush fmt lint doc fuzz
SECONDS_EACH ?= 60
KILLS ?= 1000

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## try it: installs what is missing, builds, starts the demo on this machine (DEMO="--http-port 8090" moves it)
	@scripts/demo.sh $(DEMO)

test: ## every test, real browsers and phones too; installs what they need; ends with a count
	@scripts/test.sh

bench: ## calls per core, latency and memory, beside the bare codec; a full call-back book (BENCH="…" goes to the first)
	@scripts/bench.sh $(BENCH)

chaos: ## kill a gateway that calls people back KILLS times: nobody may be forgotten, nobody rung twice
	cargo build --release --locked -p gateway
	RUN_SLOW_TESTS=1 PASSERELLE_KILLS=$(KILLS) cargo test --workspace --test it --locked -- --test-threads=1 --nocapture \
		interop::chaos

rush: ## ten thousand call-backs due in the same second, and some hundred among a hundred thousand
	cargo build --release --locked -p gateway
	RUN_SLOW_TESTS=1 PASSERELLE_DUE=10000 cargo test --workspace --test it --locked -- --test-threads=1 --nocapture \
		interop::rush

fmt: ## format the code
	cargo fmt --all

lint: ## format, clippy, shell scripts, dependencies; warnings are errors
	@scripts/lint.sh

doc: ## the code's documentation, into target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

fuzz: ## each fuzz target for SECONDS_EACH seconds (needs nightly Rust and cargo-fuzz)
	@scripts/fuzz.sh $(SECONDS_EACH)
