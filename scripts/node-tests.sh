#!/usr/bin/env bash
# Runs files of Node tests, two at a time: each drives a browser of its own, which waits more than it works.
set -uo pipefail
said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
export said
# shellcheck disable=SC2016
printf '%s\0' "$@" | xargs -0 -n 1 -P 2 bash -c 'node --test --test-reporter=tap "$0" >"$said/${0##*/}" 2>&1'
rc=$?
for file; do
  printf '# %s\n' "$file"
  cat "$said/${file##*/}"
done
exit "$rc"
