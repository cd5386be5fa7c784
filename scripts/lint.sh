#!/usr/bin/env bash
# Format, clippy, shell scripts and dependencies: warnings are errors. What is not installed is skipped and said.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
if command -v shellcheck >/dev/null; then
  shellcheck scripts/*.sh .ci/run
else
  echo "SKIPPED shell scripts: shellcheck is not installed"
fi
if cargo deny --version >/dev/null 2>&1; then
  cargo deny --locked check
else
  echo "SKIPPED dependencies: cargo-deny is not installed (cargo install cargo-deny)"
fi
