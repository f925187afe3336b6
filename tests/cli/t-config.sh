#!/bin/bash
# config, presets and migrate.
. "$(dirname "$0")/../support/lib.bash"

unset XDG_CONFIG_HOME CHAINFS_SETTINGS
export HOME=$T/home
mkdir "$HOME"
"$CHAINFS" import "$T/s" "$VECTORS/devnet-a" --range 1-2 --quiet > /dev/null 2>&1

check "config show names every setting with its value" says "^hyper.metrics_interval	10s$" "$CHAINFS" config show
check "and where it comes from" says "^log.level	warn	flag$" \
	"$CHAINFS" config show --origin --set log.level=warn
check "the environment by its name" says "environment CHAINFS_HISTORY_KEEP" \
	env CHAINFS_HISTORY_KEEP=7 "$CHAINFS" config show --origin
printf 'hyper:\n  retention_soft_cap: 1G\n' > "$T/s/chainfs.yaml"
check "the store's file by its line" says "^hyper.retention_soft_cap	1G	$T/s/chainfs.yaml:2$" \
	"$CHAINFS" config show "$T/s" --origin
check "of a store that is not there nothing is shown" exits 3 "$CHAINFS" config show "$T/none"
check "with a sentence" says "there is no store at $T/none" "$CHAINFS" config show "$T/none"
check "nor of a folder that is none" says "there is no store at $HOME" "$CHAINFS" config show "$HOME"
check "--json is JSON" sh -c "'$CHAINFS' config show '$T/s' --json |
	jq -e '.file == \"$T/s/chainfs.yaml\" and (.settings | length) > 10'"
check "a file that is right" exits 0 "$CHAINFS" config check "$T/s/chainfs.yaml"
printf 'hyper:\n\tenabled: true\n' > "$T/tab.yaml"
check "a fault has its line" says "tab.yaml:2: a tab indents here" "$CHAINFS" config check "$T/tab.yaml"
check "and its exit code" exits 4 "$CHAINFS" config check "$T/tab.yaml"
check "as JSON" sh -c "'$CHAINFS' config check '$T/tab.yaml' --json | jq -e '.ok == false and (.error | length) > 0'"
check "a file that is not there" exits 3 "$CHAINFS" config check "$T/none.yaml"
check "a folder is no file" exits 2 "$CHAINFS" config check "$T"
check "an endless file" exits 4 "$CHAINFS" config check /dev/zero
check "config alone says which there are" says "chainfs config check FILE" "$CHAINFS" config
check "and is a mistake" exits 1 "$CHAINFS" config
check "config of two files is one too many" exits 1 "$CHAINFS" config check a b

check "presets lists validator sets" says "^farcaster	snapchain	0000000000	0,1,2	5$" "$CHAINFS" presets
check "--json is JSON" sh -c "'$CHAINFS' presets --json | jq -e '.[0].validators == 5'"
"$CHAINFS" presets farcaster > "$T/farcaster.json"
check "presets NAME is a file of parameters" jq -e .validators "$T/farcaster.json"
check "which --config takes" says "0 of 5 signatures, 4 needed" "$CHAINFS" import "$T/p" \
	"$VECTORS/devnet-a" --range 1:1-1 \
	--config "$T/farcaster.json" --network x --quiet
check "a network that is not known" exits 3 "$CHAINFS" presets nope
check "is said" says "no parameters are known of a network nope" "$CHAINFS" presets nope

"$CHAINFS" import "$T/m" "$VECTORS/devnet-a" --range 1-2 --quiet > /dev/null 2>&1
check "migrate of this format has nothing to do" says "format 3, the one of this program: nothing to do" \
	"$CHAINFS" migrate "$T/m"
check "and is fine" exits 0 "$CHAINFS" migrate "$T/m"
check "--json is JSON" sh -c "'$CHAINFS' migrate '$T/m' --json | jq -e '.format == 3 and .migrated == false'"
echo "chainfs store 4" > "$T/m/chainfs-store"
check "a later format is refused" exits 2 "$CHAINFS" migrate "$T/m"
check "with a sentence" says "which a later program made" "$CHAINFS" migrate "$T/m"
check "a repair refuses it, too" says "has format 4; this program reads" "$CHAINFS" fsck "$T/m" --repair
same "and is left alone" "$(cat "$T/m/chainfs-store")" "chainfs store 4"
echo "chainfs store 1" > "$T/m/chainfs-store"
"$CHAINFS" import "$T/m" "$VECTORS/devnet-a" --range 3-200 --quiet > /dev/null 2>&1
same "a store of the format before is written to as it is" "$(cat "$T/m/chainfs-store")" "chainfs store 1"
frames_told() { # frames that leave out hashes: their flags are 4 or 5, and were 2 or 3
	grep -aobP 'CFSF\x01[\x02-\x05]\x00\x00' "$1"/networks/*/segments/000001.seg | wc -l
}
before=$(frames_told "$T/m")
check "migrate brings it to the newest" says "has format 3 now, and had 1" "$CHAINFS" migrate "$T/m"
"$CHAINFS" import "$T/m" "$VECTORS/devnet-a" --quiet > /dev/null 2>&1
check "which is what is written then" test "$(frames_told "$T/m")" -gt "$before"
check "and frames of both are read" exits 0 "$CHAINFS" fsck "$T/m"
echo "something else" > "$T/m/chainfs-store"
check "a foreign file of that name is refused" says "does not say" "$CHAINFS" migrate "$T/m"
check "and who opens it is told what writes it anew" \
	says "does not say .*; chainfs fsck --repair writes it anew" "$CHAINFS" status "$T/m"
check "a folder that is no store" exits 3 "$CHAINFS" migrate "$T/home"
check "no folder at all" exits 3 "$CHAINFS" migrate "$T/none"
