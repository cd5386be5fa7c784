#!/usr/bin/env bash
# Runs every test and ends with a count. Logs of each part are in target/test-logs; VERBOSE=1 shows them as they grow.
# A part that fails does not keep the others from running; the exit status is 0 only when nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export CARGO_TERM_COLOR=never
target=${CARGO_TARGET_DIR:-target}
logs=$target/test-logs
pages=crates/web/assets
passed=0 failed=0 skipped=0 table='' broken=''
mkdir -p "$logs"

# part NAME COUNTER SECONDS COMMAND…: runs it, counts it, shows the end of the log if it failed.
part() {
  local name=$1 counter=$2 limit=$3 log=$logs/$1.log begun=$SECONDS rc ok bad skip
  shift 3
  printf '%s\n' "== $name"
  if [ -n "${VERBOSE:-}" ]; then
    timeout --kill-after=20 "$limit" "$@" 2>&1 | tee "$log"; rc=${PIPESTATUS[0]}
  else
    timeout --kill-after=20 "$limit" "$@" >"$log" 2>&1; rc=$?
  fi
  read -r ok bad skip < <("$counter" "$rc" "$log")
  # A part may die without counting: that is a failure too.
  [ "$rc" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  grep -hoE '^SKIPPED.*|- .* # SKIP.*' "$log" | sed 's/^- \(.*\) # SKIP */SKIPPED \1: /' | sort -u
  if [ "$bad" -gt 0 ]; then
    [ -n "${VERBOSE:-}" ] || tail -n 80 "$log"
    [ "$rc" -ne 124 ] || echo "== $name took longer than $limit s and was ended"
    echo "== $name FAILED; the whole log: $log"
    broken+=$(names_of_failed "$name" "$log")$'\n'
  fi
  tally "$name" "$ok" "$bad" "$skip" $((SECONDS - begun))
}

tally() {
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
  table+=$(printf '%-14s %6d passed %4d failed %4d skipped %5d s' "$@")$'\n'
}

# Counters print "passed failed skipped" of a log.
as_one() { [ "$1" -eq 0 ] && echo 1 0 0 || echo 0 1 0; }

# A test that says SKIPPED has not passed, whatever the harness thinks.
as_cargo() {
  awk '/^test result:/ { for (i = 2; i <= NF; i++) { n = $(i - 1); if ($i == "passed;") p += n; if ($i == "failed;") f += n; if ($i == "ignored;") s += n } }
       /^---- .* stdout ----$/ { said = 0 }
       /^SKIPPED/ && !said { said = 1; p--; s++ }
       END { print p + 0, f + 0, s + 0 }' "$2"
}

as_node() {
  awk '$1 == "#" && $2 == "pass" { p += $3 } $1 == "#" && ($2 == "fail" || $2 == "cancelled") { f += $3 }
       $1 == "#" && ($2 == "skipped" || $2 == "todo") { s += $3 } END { print p + 0, f + 0, s + 0 }' "$2"
}

# Which tests failed, to be said once more at the very end: of a long log only that may be kept.
names_of_failed() { # PART LOG
  sed -nE "s/^test (.*) \.\.\. FAILED\$/FAILED $1: \\1/p; s/^ *not ok [0-9]+ - (.*)/FAILED $1: \\1/p; s/^ *(location|error): /  &/p" "$2" | grep . ||
    echo "FAILED $1: $(grep . "$2" | tail -n 1)"
}

skip() { # NAME REASON
  echo "SKIPPED $1: $2"
  tally "$1" 0 0 1 0
}

scripts/install.sh build || exit 1
# A peer that cannot be had is no reason not to test the rest: its tests say SKIPPED.
scripts/install.sh test || echo "Not everything could be installed; the tests that need it are skipped."
if cargo fmt --version >/dev/null 2>&1; then
  part format as_one 120 cargo fmt --all --check
else
  skip format "this Rust has no rustfmt: rustup component add rustfmt"
fi
# Beside clippy: each of the two leaves a core idle for a while. What it says is said again where its turn is.
cargo build --release --locked -p gateway >/dev/null 2>&1 &
if cargo clippy --version >/dev/null 2>&1; then
  part clippy as_one 1500 cargo clippy --workspace --all-targets --locked -- -D warnings
else
  skip clippy "this Rust has no clippy: rustup component add clippy"
fi
part doc as_one 900 env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
part release as_one 1800 cargo build --release --locked -p gateway
# Real peers come after, two at a time, since they wait more than they work: a test that measures sound must not share its
# cores with a compiler.
part rust as_cargo 2400 cargo test --workspace --locked --no-fail-fast -- --show-output --skip interop::
if command -v npm >/dev/null; then
  [ "$pages/node_modules/.package-lock.json" -nt "$pages/package-lock.json" ] ||
    part node-packages as_one 300 npm ci --prefix "$pages" --no-audit --no-fund
else
  skip node-packages "npm is not installed"
fi
# Of the whole workspace, as before it: with the features of one package alone much would be compiled again.
part interop as_cargo 1500 env RUN_SLOW_TESTS=1 \
  cargo test --workspace --test it --locked -- --show-output --test-threads=2 interop::
if [ -d "$pages/node_modules" ]; then
  part page-types as_one 120 node "$pages/node_modules/typescript/bin/tsc" --project "$pages/tsconfig.json"
  part page-units as_node 300 scripts/node-tests.sh "$pages"/tests/unit/*.test.js
  part pages as_node 900 scripts/node-tests.sh "$pages"/tests/browser/*.test.js
else
  skip pages "the Node packages of $pages are not installed"
fi

printf '\n%s\n%s%d passed, %d failed, %d skipped\n' "$table" "$broken" "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
