#!/bin/bash
# Among nodes that lie in every way, one that hangs and one that is slow, an honest one is enough:
# everything arrives, nothing false is stored, and who lied provably is banned with the reason.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/../peers/lib.bash"

MAIN=273
cp "$ARCHIVE/network.json" "$T/network.json"
import_vectors "$T/imported" || exit 1

number_of() { # STORE SHARD KEY
	"$CHAINFS" status "$1" --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["networks"][0]["shards"][int(sys.argv[1])][sys.argv[2]])' "$2" "$3"
}

CHUNKS1=$(number_of "$T/imported" 1 replayed)
CHUNKS2=$(number_of "$T/imported" 2 replayed)
ROOTS=$("$CHAINFS" status "$T/imported" | grep 'legacy')

whole() {
	[ "$(number_of "$1" 0 replayed)" = $MAIN ] && [ "$(number_of "$1" 1 replayed)" = "$CHUNKS1" ] &&
		[ "$(number_of "$1" 2 replayed)" = "$CHUNKS2" ]
}

state_of() { # STORE NAME
	"$CHAINFS" source list "$1" | awk -F '\t' -v name="$2" '$2 == name { print $5 }'
}

is_banned() {
	[ "$(state_of "$1" "$2")" = banned ]
}

# lies MODE BANNED: the liar is alone at first, so that it is believed once
lies() {
	local mode=$1 store=$T/$1
	peer_start liar --archive "$ARCHIVE" --lie "$mode" --lie-every 5 --oversize 70000000 || exit 1
	mkdir -p "$T/mnt"
	"$CHAINFS" mount "grpc://127.0.0.1:$PEER_PORT" "$T/mnt" --network $NET --config "$T/network.json" \
		-o "store=$store" --set sync.from=start || exit 1
	"$CHAINFS" source remove "$store" "127.0.0.1-$PEER_PORT"
	"$CHAINFS" source add "$store" "grpc://127.0.0.1:$PEER_PORT" --name liar > /dev/null
	[ "$2" != yes ] || eventually 20 is_banned "$store" liar
	peer_start honest --archive "$ARCHIVE" || exit 1
	"$CHAINFS" source add "$store" "grpc://127.0.0.1:$PEER_PORT" --name honest > /dev/null
	check "$mode: everything arrives all the same" eventually 60 whole "$store"
	same "$mode: and is what an import has" "$("$CHAINFS" status "$store" | grep legacy)" "$ROOTS"
	if [ "$2" != no ]; then
		check "$mode: who did it is banned" eventually 20 is_banned "$store" liar
		check "$mode: with the reason" says "liar	.*banned.*	[a-z].* " \
			"$CHAINFS" source list "$store"
	fi
	same "$mode: the honest one is not" "$(state_of "$store" honest)" connected
	unmount "$T/mnt"
	peer_stop liar
	peer_stop honest
	check "$mode: the store is sound" eventually 20 "$CHAINFS" fsck "$store" --quiet
}

lies bad-hash yes
lies bad-commit yes
lies truncated yes
lies reordered no
lies oversized no
lies changed-transactions later
lies changed-message later
