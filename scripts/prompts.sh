#!/usr/bin/env bash
# Makes the sentence that is built into the program, with espeak-ng and sox (apt-get install espeak-ng sox).
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
espeak-ng -v fr-fr -s 165 -w "$work/fr.wav" "Rappel du site. Pour appeler le client, tapez 1."
espeak-ng -v en-gb -s 165 -w "$work/en.wav" "Web call-back. Press 1 to call the customer."
for language in fr en; do
    sox "$work/$language.wav" -r 8000 -c 1 "$work/$language.8k.wav" silence 1 0.05 1% reverse silence 1 0.05 1% reverse \
        pad 0 0.3 norm -6
done
sox "$work/fr.8k.wav" "$work/en.8k.wav" -t raw -e signed -b 16 -L crates/gateway/src/drive/call/press-1.s16le pad 0 1.2
