#!/usr/bin/env bash
# install.sh build|test: installs the Debian packages a task needs and this machine lacks. Says which; root only for that.
set -euo pipefail

# command=package, or file=package: when the command is there, however it came, the package is not asked for.
case ${1:-} in
  build) wanted="cc=gcc c++=g++ make=make cmake=cmake" ;;
  test) wanted="cc=gcc c++=g++ make=make cmake=cmake chromium=chromium baresip=baresip-core sipp=sip-tester
                kamailio=kamailio node=nodejs npm=npm openssl=openssl redis-server=redis-server aiosmtpd=python3-aiosmtpd
                faketime=faketime /usr/lib/*/kamailio/modules/tls.so=kamailio-tls-modules" ;;
  *) sed -n '2p' "$0"; exit 2 ;;
esac

if ! command -v cargo >/dev/null; then
  echo "Rust is missing. Install it from https://rustup.rs (no root needed), open a new shell, and try again." >&2
  exit 1
fi

missing=()
set -f
for pair in $wanted; do
  [[ $pair == /* ]] && compgen -G "${pair%%=*}" >/dev/null && continue
  PATH="$PATH:/usr/sbin" command -v "${pair%%=*}" >/dev/null || missing+=("${pair##*=}")
done
set +f
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "Missing here, and there is no apt-get to install them: ${missing[*]}" >&2
  exit 1
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Missing here: ${missing[*]}. As root, run: apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  root=(sudo)
  echo "Installing from Debian: ${missing[*]} (this, and only this, needs root; sudo may ask for your password)"
else
  echo "Installing from Debian: ${missing[*]}"
fi

# A server among the packages must not start by itself and take the SIP port.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
  "${root[@]}" chmod 755 "$policy"
fi

install() {
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}
log=$(mktemp)
# Package lists may be absent or stale: they are fetched once, and only if the first try fails.
if ! install "${missing[@]}" >"$log" 2>&1 && ! { "${root[@]}" apt-get update -qq && install "${missing[@]}"; } >>"$log" 2>&1; then
  # One package that cannot be had must not keep the others out.
  failed=()
  for package in "${missing[@]}"; do
    install "$package" >>"$log" 2>&1 || failed+=("$package")
  done
  if [ ${#failed[@]} -gt 0 ]; then
    tail -n 20 "$log" >&2
    echo "Could not install: ${failed[*]}. The whole log: $log" >&2
    exit 1
  fi
fi
rm -f "$log"
