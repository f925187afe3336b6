#!/bin/bash
# How fast a chain comes from an honest node that is alone, and from the same node among three bad ones: one that is
# slow, one that hangs midway, one that lies. In turns; the figure is the median of the ratios within rounds.
#
#     BLOCKS=20000 MESSAGES=60000 ROUNDS=3 tests/bench/follow_sources.sh
#     LIES="bad-hash reordered" tests/bench/follow_sources.sh          one lie a round, in this order
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/../peers/lib.bash"
BLOCKS=${BLOCKS:-20000}
MESSAGES=${MESSAGES:-60000}
LIES=${LIES:-bad-hash changed-transactions reordered truncated bad-commit oversized wrong-network}
NET=follow
chain follow --blocks "$BLOCKS" --messages "$MESSAGES"
archive=$KEEP/follow.archive
"$CHAINFS" import "$T/whole" "$archive" --network $NET --quiet > "$T/import.out" 2>&1 ||
	fail "the chain is not imported"

replayed_of() { # STORE
	"$CHAINFS" status "$1" --json | sed -n 's/.*"replayed" *: *\([0-9]*\).*/\1/p' | tr '\n' ' '
}
WHOLE=$(replayed_of "$T/whole")
is_whole() { [ "$(replayed_of "$T/store")" = "$WHOLE" ]; }

# Hangs as soon as it has served something.
hang_soon() {
	local tries=3000
	until peer_order hanging stats | grep -q '"heights":{[^}]*:[1-9]'; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.02
	done
	peer_order hanging hang
}

# follow_all PEER…: seconds from the mount until everything is there and replayed, into $took
follow_all() {
	local name begun sources=
	for name in "$@"; do
		sources=$sources,source=grpc://127.0.0.1:${PEER_PORTS[$name]}
	done
	rm -rf "$T/store"
	begun=$(date +%s%N)
	"$CHAINFS" mount "grpc://127.0.0.1:${PEER_PORTS[honest]}" "$M" --network $NET \
		--config "$archive/network.json" -o "store=$T/store$sources" --set sync.from=start \
		> "$T/mount.out" 2>&1 || { cat "$T/mount.out" >&2; fail "no mount"; }
	[ $# = 0 ] || hang_soon > /dev/null || say "the hanging one was asked for nothing"
	local tries=6000
	until is_whole; do
		[ $((tries -= 1)) -gt 0 ] || {
			"$CHAINFS" source list "$T/store" >&2
			fail "it does not come to the end"
		}
		sleep 0.05
	done
	took=$(awk -v ns=$(($(date +%s%N) - begun)) 'BEGIN { printf "%.3f", ns / 1e9 }')
	[ $# = 0 ] || "$CHAINFS" source list "$T/store" | cut -f2,5- | sed 's/^/# /' >&2
	leave
}

leave() { # unmount would wait for the peers, too
	local p
	servers=$(processes_at "$M")
	until umount "$M" 2> /dev/null; do sleep 0.01; done
	for p in $servers; do
		eventually 60 is_gone "$p" || fail "a server goes on without its mount"
	done
	servers=
}

peer_start honest --archive "$archive" || fail "no peer"
for round in $(seq "$ROUNDS"); do
	lie=$(echo "$LIES" | awk -v n="$round" '{ print $((n - 1) % NF + 1) }')
	peer_start slow --archive "$archive" --latency 300 --rate 200000 || fail "no slow peer"
	peer_start hanging --archive "$archive" || fail "no hanging peer"
	peer_start liar --archive "$archive" --lie "$lie" --lie-every 50 || fail "no lying peer"
	follow_all
	alone=$took
	follow_all slow hanging liar
	among=$took
	for name in slow hanging liar; do
		peer_stop $name
	done
	echo "$alone" >> "$T/alone"
	echo "$among" >> "$T/among"
	awk -v a="$alone" -v b="$among" 'BEGIN { print a / b }' | tee -a "$T/ratios" > "$T/ratio"
	say "follow_sources round $round: alone $alone s," \
		"among a slow, a hanging and a lying one ($lie) $among s: $(cat "$T/ratio")"
done
peer_stop honest
figure follow "honest node alone: wall" "$(median < "$T/alone")" s
figure follow "honest node among three bad ones: wall" "$(median < "$T/among")" s
figure follow "heights a second from an honest node alone" "$(median < "$T/alone" |
	awk -v n="$WHOLE" '{ split(n, w, " "); printf "%.0f", (w[1] + w[2] + w[3]) / $1 }')" ""
figure follow follow-sources "$(median < "$T/ratios")" "of the honest node's speed alone"
