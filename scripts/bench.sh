#!/usr/bin/env bash
# Builds the gateway and the load in release and runs the density bench. Its arguments go to the bench.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh build
cargo build --release --locked -p gateway -p benches
exec cargo run --release --locked -p benches --bin density -- "$@"
