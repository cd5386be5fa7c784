#!/usr/bin/env bash
# Installs what a build needs, builds in release, and becomes the demo. Its arguments are those of `passerelle demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh build
target=${CARGO_TARGET_DIR:-target}
echo "Building Passerelle (the first time takes some minutes)"
cargo build --release --locked -p gateway
exec "$target/release/passerelle" demo "$@"
