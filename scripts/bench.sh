#!/usr/bin/env bash
# Builds the gateway and the loads in release; runs the bench of the call-back book, then that of density, to which its
# arguments go.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh build
cargo build --release --locked -p gateway -p benches
cargo run --release --locked -p benches --bin callbacks
exec cargo run --release --locked -p benches --bin density -- "$@"
