#!/usr/bin/env bash
# Makes the sentences that are built into the program, with espeak-ng and sox (apt-get install espeak-ng sox).
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# say LANGUAGE NAME TEXT: 8 kHz mono, without the silence around it.
say() {
    espeak-ng -v "$1" -s 165 -w "$work/$2.wav" "$3"
    sox "$work/$2.wav" -r 8000 -c 1 "$work/$2.8k.wav" silence 1 0.05 1% reverse silence 1 0.05 1% reverse pad 0 0.3 norm -6
}
# raw NAME FILE…: one after the other, then a pause.
raw() {
    local name=$1
    shift
    sox "$@" -t raw -e signed -b 16 -L "crates/gateway/src/drive/call/$name.s16le" pad 0 1.2
}
say fr-fr agent.fr "Rappel du site. Pour appeler le client, tapez 1."
say en-gb agent.en "Web call-back. Press 1 to call the customer."
say fr-fr customer.fr "Bonjour. Vous avez demandé à être rappelé. Pour parler à un conseiller, tapez 1. Pour être rappelé plus tard, tapez 2. Pour annuler, tapez 3. Si ce n'était pas vous, tapez 9."
say en-gb customer.en "Hello. You asked to be called back. To speak with an adviser, press 1. To be called later, press 2. To cancel, press 3. If it was not you, press 9."
raw press-1 "$work/agent.fr.8k.wav" "$work/agent.en.8k.wav"
raw ask-customer.fr "$work/customer.fr.8k.wav"
raw ask-customer.en "$work/customer.en.8k.wav"
