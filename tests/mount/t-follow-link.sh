#!/bin/bash
# The link to a node is cut and healed, in two ways; the node is replaced by a newer one that has gone
# on; the clock jumps by an hour, both ways. Each time the follower goes on, readers are answered
# meanwhile, and the events say what happened.
#
#     CUT=60 tests/mount/t-follow-link.sh       seconds that the link is cut
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/../peers/lib.bash"
[ "$(id -u)" = 0 ] || skip "only root makes a network namespace"
command -v ip > /dev/null || skip "ip is not there (iproute2)"

CUT=${CUT:-$(rounds 48)}
[ "$CUT" -ge 12 ] || CUT=12 # before that nobody is missed
SPEED=5
BACK=20 # seconds after which a healed link must be in use again
SPACE=chainfs-test-$$ OURS=cft$(($$ % 100000))
US=198.18.$(($$ % 250)).1 THEM=198.18.$(($$ % 250)).2

at_end() {
	local code=$?
	ip link del "$OURS" 2> /dev/null
	ip netns del "$SPACE" 2> /dev/null
	(exit "$code")
	cleanup
}
trap at_end EXIT

in_space() { ip netns exec "$SPACE" "$@"; }

make_link() {
	ip netns add "$SPACE" && ip link add "$OURS" type veth peer name far netns "$SPACE" &&
		ip addr add "$US/30" dev "$OURS" && ip link set "$OURS" up &&
		in_space ip addr add "$THEM/30" dev far && in_space ip link set far up && in_space ip link set lo up
}
make_link > "$T/link" 2>&1 || skip "no network namespace with a link can be made here: $(head -n 1 "$T/link")"

# The link is down, as when a cable is pulled.
pull() { in_space ip link set far down; }
plug() { in_space ip link set far up; }

# What each side sends goes to an address that nobody has: everything stays open, and silent.
silence() {
	ip neigh replace "$THEM" lladdr 02:00:00:00:00:77 nud permanent dev "$OURS" &&
		in_space ip neigh replace "$US" lladdr 02:00:00:00:00:78 nud permanent dev far
}
unsilence() {
	ip neigh del "$THEM" dev "$OURS"
	in_space ip neigh del "$US" dev far
}

number_of() { # SHARD KEY
	"$CHAINFS" status "$T/st" --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["networks"][0]["shards"][int(sys.argv[1])][sys.argv[2]])' "$1" "$2"
}
replayed() { [ "$(number_of 0 replayed)" -ge "$1" ]; }
tip_of_node() { peer_order node stats | sed 's/^{"tip":{"0":\([0-9]*\).*/\1/'; }
is_reached() { replayed "$(tip_of_node)"; } # the node goes on meanwhile, so a few at a time
ms() { echo $(($(date +%s%N) / 1000000)); }
events_since() { tail -n +$(($1 + 1)) "$T/events"; }
events_now() { wc -l < "$T/events"; }

# A forged chain is long enough for all of it.
NET=linked
"$CHAINFS" forge "$T/archive" --seed 5 --blocks $(((CUT * 2 + 200) * SPEED * 4)) --messages 3000 --quiet || exit 1
cp "$T/archive/network.json" "$T/network.json"

start_node() { # OPTION…
	PEER_IN_NETWORK=$SPACE peer_start node --archive "$T/archive" --host "$THEM" "$@"
}

start_node --at 20 --port 3383 || exit 1
clock=
if [ "${FLAVOUR:-release}" = release ] &&
	${CC:-cc} -shared -fPIC -o "$T/clock.so" "$TESTS/faults/preload/clock.c" 2> "$T/cc"; then
	clock=$T/clock.off
	echo 0 > "$clock"
fi
mkdir -p "$T/mnt"
M=$T/mnt
check "a node behind a link is followed" env \
	${clock:+"LD_PRELOAD=$T/clock.so" "CLOCK_OFF_FILE=$clock"} "$CHAINFS" mount \
	"grpc://$THEM" "$M" --network $NET --config "$T/network.json" -o "store=$T/st" --set sync.from=start
check "to where it is" eventually 20 replayed 20
(exec cat "$(ctl_of "$M")/events" > "$T/events") &
peer_order node speed $SPEED > /dev/null
check "and further" eventually 20 replayed 30

# cut_link SENTENCE CUT HEAL
cut_link() {
	local what=$1 events held begun
	events=$(events_now)
	"$2" || { not_ok "$what: the link is cut"; return; }
	held=$(number_of 0 replayed)
	sleep "$CUT"
	check "$what for $CUT s: readers are answered" timeout 5 cat "$M/$NET/legacy/blocks/$((held - 1))/header"
	check "$what: ls, too" timeout 5 ls "$M/$NET/gaps"
	check "$what: the events say that the node is lost" grep -q ' source name=198.* state=lost remark="..*"' \
		<(events_since "$events")
	check "$what: and source list that it is not connected" says '	\(connecting\|open\|half-open\)	' \
		"$CHAINFS" source list "$T/st"
	held=$(number_of 0 replayed)
	"$3"
	begun=$(ms)
	if eventually $((BACK * 3)) replayed $((held + 1)); then
		ok "$what: healed, it goes on"
	else
		not_ok "$what: healed, it goes on"
		"$CHAINFS" source list "$T/st" | sed 's/^/# /'
	fi
	begun=$(($(ms) - begun))
	echo "# $what for $CUT s: $begun ms after it was healed the next block is there"
	check "$what: soon" test $begun -lt $((BACK * 1000))
	check "$what: to where the node is" eventually 30 is_reached
	check "$what: the events say that it is connected again" grep -q ' source name=198.* state=connected' \
		<(events_since "$events")
	events_since "$events" | grep ' source \| ban ' | sed 's/^/# /'
}

cut_link "the link is down" pull plug
cut_link "the link is silent" silence unsilence

# ---- the node is another one ----

events=$(events_now)
tip=$(tip_of_node)
peer_stop node
check "the node ends: readers are answered" timeout 5 ls "$M/$NET/legacy/blocks"
start_node --at $((tip + 200)) --speed $SPEED --port 3383 --version 0.99.0 || exit 1
check "another one on its port, a newer one that has gone on, is followed" eventually 30 replayed $((tip + 205))
check "the events say its version" grep -q ' source name=.* state=connected version="0.99.0' <(events_since "$events")
check "its file, too" grep -q '^0.99.0' "$M/$NET/sources/$THEM/version"
check "and that it changed" grep -q 'changed from 0.14.2 to 0.99.0' "$M/$NET/sources/$THEM/remark"
events_since "$events" | grep ' source \| ban ' | sed 's/^/# /'

# ---- the clock jumps ----

hour_of_events() { # SECONDS: are the newest events dated so far from now?
	local at=$(($(date +%s) - $(date -d "$(tail -n 1 "$T/events" | cut -d' ' -f1)" +%s) + $1))
	[ ${at#-} -lt 60 ]
}

for off in 3600 -3600; do
	[ -n "$clock" ] || { ok "no clock is turned here # SKIP a release build and a compiler"; break; }
	events=$(events_now)
	echo $off > "$clock.new" && mv "$clock.new" "$clock"
	before=$(number_of 0 replayed)
	check "the clock is $off seconds off from now on: blocks come as before" eventually 10 \
		replayed $((before + 2 * SPEED))
	check "as it says by that clock" eventually 10 hour_of_events $off
	check "and is where the node is" eventually 10 is_reached
	check "no connection is lost by it" \
		test -z "$(events_since "$events" | grep 'state=lost\|state=stopped\| ban ')"
done

same "the node was never taken for a liar" "$("$CHAINFS" source list "$T/st" | cut -f5)" connected
peer_stop node
unmount "$M"
check "the store is sound" eventually 20 "$CHAINFS" fsck "$T/st" --quiet
