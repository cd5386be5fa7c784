#!/usr/bin/env bash
# fuzz.sh [SECONDS]: runs each fuzz target so long, from its committed corpus. A crash stops it and leaves its input.
set -euo pipefail
cd "$(dirname "$0")/../sip-tests"
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
  echo "Fuzzing needs nightly Rust and cargo-fuzz: rustup toolchain install nightly && cargo install cargo-fuzz" >&2
  echo "(make test replays the committed corpora without either)" >&2
  exit 1
fi
for target in $(cargo +nightly fuzz list); do
  echo "== $target, ${1:-60} s"
  cargo +nightly fuzz run "$target" "fuzz/corpus/$target" -- -max_total_time="${1:-60}" -timeout=5 -rss_limit_mb=1024
done
