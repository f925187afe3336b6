#!/bin/bash
# The daemon is killed, again and again, while it follows a node that goes on: soon after each kill a
# read is answered, nothing that was acknowledged is lost, and nothing is fetched twice but what was on
# its way. In each tenth kill the keeper goes, too, and the store is mounted again.
#
#     KILLS=300 TEST_SEED=7 tests/mount/t-follow-kills.sh
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/../peers/lib.bash"
command -v pgrep > /dev/null || skip "pgrep is not there"

KILLS=${KILLS:-$(rounds 48)}
SEED=${TEST_SEED:-$RANDOM}
SPEED=20     # main blocks a second
AHEAD=40     # main blocks a kill at most: so that there is something to follow until the last
SPREAD=400   # a kill comes at most so many milliseconds after the last one was recovered from
WITHIN=5000  # milliseconds from a kill to the first served read
RANDOM=$SEED
echo "# TEST_SEED=$SEED KILLS=$KILLS"
NET=killed S=$T/st M=$T/mnt
mkdir -p "$M"

"$CHAINFS" forge "$T/archive" --seed "$((SEED + 1))" --blocks $((KILLS * AHEAD * 3 + 900)) \
	--messages $((KILLS * 30 + 2000)) \
	--quiet || exit 1
"$CHAINFS" import "$T/imported" "$T/archive" --network $NET --quiet > "$T/import.out" 2>&1 ||
	{ cat "$T/import.out"; exit 1; }
peer_start node --archive "$T/archive" --at 20 || exit 1
cp "$T/archive/network.json" "$T/network.json" 2> /dev/null || { ls "$T/archive"; exit 1; }

ms() { echo $(($(date +%s%N) / 1000000)); }

# Each worker adds to one trace, in which what was acknowledged stands the moment it is.
follow() { # [WORD…]: in front, so that the trace can be had
	"$CHAINFS" mount "$@" "$M" -f --network $NET --config "$T/network.json" \
		--set sync.from=start,log.level=debug,import.commit=50ms 2>> "$T/trace" > "$T/mount.out" &
	eventually 30 is_mounted "$M"
}

acknowledged() { # "shard replayed", a line each
	sed -n "s/.*acknowledged network=$NET shard=\([0-9]*\) held=[0-9]* replayed=\([0-9]*\)\$/\1 \2/p" "$T/trace" |
		awk '{ n[$1] = $2 > n[$1] ? $2 : n[$1] } END { for (s in n) print s, n[s] }' | sort
}

now_held() { # the same, of the daemon that serves
	"$CHAINFS" status "$S" --json | awk -F'[:,]' '
		/"replayed"/ { replayed = $2 }
		/"shard":/ && !seen[$2 + 0]++ { print $2 + 0, replayed + 0 }' # again of who follows
}

nothing_less() { # WANTED HAVE
	awk 'NR == FNR { have[$1] = $2; next } have[$1] + 0 < $2 { print; bad = 1 } END { exit bad }' \
		<(echo "$2") <(echo "$1")
}

reached() { # SHARD HEIGHT…
	[ -n "$1" ] && nothing_less "$1" "$(now_held)"
}

# From the kill on: until the kernel is answered, and a block that was acknowledged is read.
first_read() { # HEIGHT
	timeout -s KILL 60 stat -f "$M" > /dev/null &&
		timeout -s KILL 60 cat "$M/$NET/legacy/blocks/$1/header" > /dev/null
}

tip_in() { # FILE: of stats
	sed 's/^{"tip":{"0":\([0-9]*\).*/\1/' "$1"
}

a_kill() { # NUMBER
	local n=$1 ack begun took height
	sleep 0.$(printf %03d $((RANDOM % SPREAD)))
	acknowledged > "$T/ack.$n"
	peer_order node stats > "$T/stats.$n" || return 1
	if [ "$(tip_in "$T/stats.$n")" -gt $((20 + n * AHEAD)) ]; then
		peer_order node speed 0 > /dev/null
	else
		peer_order node speed $SPEED > /dev/null
	fi
	begun=$(ms)
	if [ $((n % 10)) = 0 ]; then
		kill_mount "$S"
		detach "$M" 2> /dev/null
		follow "$S" || { echo "kill $n: it is not mounted again"; cat "$T/mount.out"; return 1; }
	else
		kill -9 "$(daemon_of "$S")"
	fi
	ack=$(acknowledged)
	height=$(awk '$1 == 0 { print $2 }' <<< "$ack")
	first_read "$height" || { echo "kill $n: height $height was acknowledged and is not read"; return 1; }
	took=$(($(ms) - begun))
	echo "$took" >> "$T/times"
	nothing_less "$ack" "$(now_held)" > "$T/less" || { echo "kill $n lost:"; cat "$T/less"; return 1; }
}

all_kills() {
	local n
	for n in $(seq "$KILLS"); do
		a_kill "$n" || return 1
	done
}

check "a node is followed" follow "grpc://127.0.0.1:$PEER_PORT" -o "store=$S"
check "to where it is" eventually 30 reached "0 20"
peer_order node speed $SPEED > /dev/null
begun=$SECONDS
if all_kills > "$T/said" 2>&1; then
	ok "$KILLS kills: a read is served after each, and nothing acknowledged is lost"
else
	not_ok "$KILLS kills: a read is served after each, and nothing acknowledged is lost"
	grep -v ' Killed  ' "$T/said" | sed 's/^/# /'
fi
sort -n "$T/times" > "$T/sorted"
longest=$(tail -n 1 "$T/sorted")
echo "# $(wc -l < "$T/times") kills in $((SECONDS - begun)) s; a read is served after" \
	"$(sed -n "$((($(wc -l < "$T/sorted") + 1) / 2))p" "$T/sorted") ms (median), $longest ms (longest)"
case ${FLAVOUR:-release} in
release) check "each within $WITHIN ms" test "$longest" -lt $WITHIN ;;
esac
check "it was following all the time" test "$(tip_in "$T/stats.$KILLS")" -gt "$(tip_in "$T/stats.$((KILLS * 4 / 5))")"

# ---- to the end ----

now_held_of() { # STORE: all that is replayed
	S=$1 now_held
}
peer_order node at all > /dev/null
check "then it comes to the end" eventually 60 reached "$(now_held_of "$T/imported")"
peer_order node stats > "$T/stats.last"
# A height that was acknowledged before a kill is never served again, whatever came since.
python3 - "$T" "$KILLS" > "$T/twice" 2>&1 <<'END'
import json, os, sys
folder, kills = sys.argv[1], int(sys.argv[2])

def counts(path):
    out = {}
    for shard, runs in json.load(open(path))["served"].items():
        for run, n in runs.items():
            first, _, last = run.partition("-")
            for height in range(int(first), int(last or first) + 1):
                out[int(shard), height] = n
    return out

last, bad, known = counts(f"{folder}/stats.last"), [], {}
for kill in range(1, kills + 1):
    if not os.path.exists(f"{folder}/stats.{kill}"):
        continue
    then = counts(f"{folder}/stats.{kill}")
    for line in open(f"{folder}/ack.{kill}"):
        shard, height = map(int, line.split())
        for h in range(known.get(shard, 0) + 1, height + 1):
            if last.get((shard, h)) != then.get((shard, h)):
                bad.append((kill, shard, h, then.get((shard, h)), last.get((shard, h))))
        known[shard] = max(known.get(shard, 0), height)
again = sum(n > 1 for n in last.values())
print(f"{len(last)} heights were served, {again} more than once, at most {max(last.values())} times;",
      f"{sum(known.values())} had been acknowledged before a kill")
for kill, shard, h, a, b in bad[:10]:
    print(f"kill {kill}: shard {shard} height {h} was held, and served {a} times; {b} in the end")
sys.exit(1 if bad or not known else 0)
END
code=$?
same "nothing is fetched twice but what was on its way" $code 0
sed 's/^/# /' "$T/twice"

roots_of() { "$CHAINFS" status "$1" | grep legacy; }
same "and has what an import has" "$(roots_of "$S")" "$(roots_of "$T/imported")"
unmount "$M"
check "the store is sound" eventually 20 "$CHAINFS" fsck "$S" --quiet
