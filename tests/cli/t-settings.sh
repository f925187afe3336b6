#!/bin/bash
# Settings of file, environment and flag, as the verbs go by them.
. "$(dirname "$0")/../support/lib.bash"

unset XDG_CONFIG_HOME CHAINFS_SETTINGS
export HOME=$T/home
mkdir "$HOME"
A=$VECTORS/devnet-a

hyper_of() { "$CHAINFS" status "$1" | grep -m 1 hyper | awk '{ print $2 }'; }
import() { "$CHAINFS" import "$@" --quiet > "$T/out" 2>&1; }

import "$T/default" "$A"
same "hyper.enabled is false by default" "$(hyper_of "$T/default")" off
import "$T/flag" "$A" --set hyper.enabled=true
same "--set hyper.enabled=true keeps what legacy prunes" "$(hyper_of "$T/flag")" root
CHAINFS_HYPER_ENABLED=on import "$T/env" "$A"
same "so does the environment" "$(hyper_of "$T/env")" root
mkdir "$T/file"
echo 'hyper: { enabled: true }' > "$T/chainfs.yaml"
import "$T/file2" "$A" --settings "$T/chainfs.yaml"
same "so does a file that --settings names" "$(hyper_of "$T/file2")" root
mkdir -p "$HOME/.config/chainfs"
cp "$T/chainfs.yaml" "$HOME/.config/chainfs/"
import "$T/user" "$A"
same "so does the user's own file" "$(hyper_of "$T/user")" root
import "$T/off" "$A" --hyper off
same "--hyper off goes before it" "$(hyper_of "$T/off")" off
CHAINFS_HYPER_ENABLED=off import "$T/off2" "$A"
same "and so does the environment" "$(hyper_of "$T/off2")" off
import "$T/default" "$A"
same "a network that is there already stays as it is" "$(hyper_of "$T/default")" off
rm "$HOME/.config/chainfs/chainfs.yaml"
cp "$T/chainfs.yaml" "$T/default/"
check "a file in the store is read" says "$T/default/chainfs.yaml:1" \
	"$CHAINFS" config show "$T/default" --origin

# ---- faults ----
printf 'hyper:\n  enable: true\n' > "$T/bad.yaml"
check "a fault in the file is named with its line" says "bad.yaml:2: there is no setting hyper.enable" \
	"$CHAINFS" status "$T/default" --settings "$T/bad.yaml"
check "and is a mistake of who wrote it" exits 1 "$CHAINFS" status "$T/default" --settings "$T/bad.yaml"
check "a file that is not there is absent" exits 3 "$CHAINFS" status "$T/default" --settings "$T/none.yaml"
check "a flag that does not fit is named" says "flag: limits.cache is a size" \
	"$CHAINFS" status "$T/default" --set limits.cache=lots
check "a flag can be said more than once" says "one of error" \
	"$CHAINFS" status "$T/default" --set limits.cache=8M --set log.level=loud
check "a verb without a store needs no settings" exits 0 env CHAINFS_SETTINGS="$T/bad.yaml" "$CHAINFS" version
check "a bad file stops no help" exits 0 env CHAINFS_SETTINGS="$T/bad.yaml" "$CHAINFS" import --help

# ---- limits ----
"$CHAINFS" presets farcaster > "$T/farcaster.json"
check "a refused block is a line of the log" says "warn ingest: block refused" \
	"$CHAINFS" import "$T/quiet" "$A" --range 1:1-1 --config "$T/farcaster.json" --network x --quiet
check "and log.level=error leaves it out" sh -c "! '$CHAINFS' import '$T/quieter' '$A' --range 1:1-1 \
	--config '$T/farcaster.json' --network x --quiet --set log.level=error 2>&1 | grep -q 'warn ingest'"
# Of an import that is short and fast all may be on its way before it is looked again.
check "a part is imported" exits 0 "$CHAINFS" import "$T/full" "$A" --range 1-150 --quiet
check "an import stops at limits.disk" exits 6 "$CHAINFS" import "$T/full" "$A" --quiet --set limits.disk=200k
check "with a sentence" says "limits.disk is 200k (flag); what was taken so far is kept" \
	"$CHAINFS" import "$T/full" "$A" --quiet --set limits.disk=200k
check "and the store is whole" exits 0 "$CHAINFS" verify "$T/full"
check "without the limit it goes on" exits 0 "$CHAINFS" import "$T/full" "$A" --quiet
same "and comes to the same state" "$("$CHAINFS" status "$T/full" | grep root)" \
	"$("$CHAINFS" status "$T/off" | grep root)"
check "a small cache changes nothing" exits 0 "$CHAINFS" verify "$T/full" --set limits.cache=1M,limits.checkers=1
