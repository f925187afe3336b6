#!/bin/bash
# Following a node that replays a chain: how soon a tip can be read, with history at rest and with as much
# of it coming as fits; how catching up compares with an import of the same archive from the disk; how the
# line is split between head and history.
#
#     BLOCKS=12000 MESSAGES=240000 TIPS=40 SPEED=10 ROUNDS=3 tests/bench/follow.sh
#
# BLOCKS are those of all three shards together. The node, the daemon and who reads share the machine.
. "$(dirname "$0")/lib.bash"
. "$TESTS/peers/lib.bash"
BLOCKS=${BLOCKS:-12000} MESSAGES=${MESSAGES:-240000} TIPS=${TIPS:-40} SPEED=${SPEED:-10}
FOLLOW_PARTS=${FOLLOW_PARTS:-tips catch-up split}
[ -c /dev/fuse ] && [ -w /dev/fuse ] || skip "there is no /dev/fuse for this user"
chain follow --blocks "$BLOCKS" --messages "$MESSAGES"
archive=$KEEP/follow.archive
heights=$((BLOCKS / 3)) # of each shard, about

# The shards' last heights, by what an import says of them.
lasts() {
	[ -e "$KEEP/follow.lasts" ] && return
	store follow
	"$CHAINFS" status "$KEEP/follow.store" --json | python3 -c 'import json, sys
print(*[s["replayed"] for s in json.load(sys.stdin)["networks"][0]["shards"]])' > "$KEEP/follow.lasts"
	rm -rf "$KEEP"/follow.store*
}
lasts
read -r last0 last1 last2 < "$KEEP/follow.lasts"

follow() { # STORE PORT [OPTION…]
	local at=$1 port=$2
	shift 2
	"$CHAINFS" mount "grpc://127.0.0.1:$port" "$M" --network $NET \
		--config "$archive/network.json" -o "store=$at" "$@" \
		> "$T/mount.out" 2>&1 || { cat "$T/mount.out" >&2; fail "no mount"; }
	servers=$(processes_at "$M")
	N=$M/$NET
}

metric() { # NAME LABELS…: of the mounted daemon; labels as they are written
	awk -v name="$1" -v label="${2:-}" '
		index($1, name "{") == 1 && index($1, label) { n += $2 }
		END { printf "%.0f", n }' "$M/ctl/metrics"
}

processors() { # seconds that the servers have used; of those that ended, too, by their parent
	local p ms=0
	for p in $servers; do
		awk -v hz="$(getconf CLK_TCK)" \
			'{ sub(/.*\) /, ""); print ($12 + $13 + $14 + $15) / hz }' "/proc/$p/stat"
	done | awk '{ n += $1 } END { print n }'
}

mono() { # seconds
	cut -d ' ' -f 1 /proc/uptime
}

ratio() { # A B
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f\n", a / (b > 0 ? b : 0.001) }'
}

# ---- how soon ----

# tips NAME BACKWARD: rows of milliseconds, one a block of the shards 0 and 1, into $T/NAME.ms
tips() {
	local name=$1 backward=$2 from=$((last0 - TIPS)) chunk
	peer_start node --archive "$archive" --at "$from" || fail "no node"
	chunk=$(peer_order node time 1 | python3 -c 'import json, sys
print(max(h for h, *_ in json.load(sys.stdin)["1"]))') || fail "what does the node have?"
	rm -rf "$T/st"
	follow "$T/st" "$PEER_PORT" --set "sync.backward=$backward"
	eventually 60 test -r "$N/legacy/blocks/$from/header" || fail "the head does not come"
	[ "$backward" = false ] ||
		eventually 60 test "$(metric chainfs_sync_bytes_total backward)" -gt 0 ||
		fail "no history comes"
	setsid "$PROGRAMS/bench_tips" $((TIPS / SPEED + 60)) "$N/legacy/blocks" $((from + 1)) $((last0 + 1)) \
		"$N/legacy/shards/1/blocks" $((chunk + 1)) $((last1 + 1)) > "$T/seen" &
	local looking=$!
	peer_order node speed "$SPEED" > /dev/null
	wait $looking || fail "a tip does not come"
	if [ "$backward" = true ] && [ "$(metric chainfs_sync_heights_missing backward)" = 0 ]; then
		fail "history was whole before the last tip: give it more BLOCKS or MESSAGES"
	fi
	{
		peer_order node time 0 $((from + 1)) $((last0 + 1))
		peer_order node time 1 $((chunk + 1)) $((last1 + 1))
	} > "$T/had"
	python3 - "$T/had" "$T/seen" >> "$T/$name.ms" << 'PYTHON' || fail "what was seen does not fit what the node had"
import json, sys
had = {}
for line in open(sys.argv[1]):
    for shard, rows in json.loads(line).items():
        had.update({(int(shard), h): us for h, us, *_ in rows})
for line in open(sys.argv[2]):
    shard, height, us = map(int, line.split())
    print(f"{shard} {(us - had[shard, height]) / 1000:.3f}")
PYTHON
	say "of it from a block's arrival to its publication, p50 and p99 in seconds:" \
		"$(awk '/^chainfs_sync_tip_latency_seconds\{/ { printf "%s ", $2 }' "$M/ctl/metrics")"
	unmount
	peer_stop node
}

quantile() { # OF, of the last words of the lines
	awk '{ print $NF }' | sort -g |
		awk -v q="$1" '{ v[NR] = $1 } END { i = int(NR * q); print v[i < NR ? i + 1 : NR] }'
}

measure_tips() {
	local round name
	for round in $(seq "$ROUNDS"); do
		for name in off on; do
			: > "$T/$name.ms"
			tips $name $([ $name = on ] && echo true || echo false)
			cat "$T/$name.ms" >> "$T/$name.all"
			quantile 0.5 < "$T/$name.ms" >> "$T/$name.p50"
			quantile 0.99 < "$T/$name.ms" >> "$T/$name.p99"
			say "tips round $round, history $name: p50 $(tail -n 1 "$T/$name.p50") ms," \
				"p99 $(tail -n 1 "$T/$name.p99") ms"
		done
		ratio "$(tail -n 1 "$T/on.p99")" "$(tail -n 1 "$T/off.p99")" >> "$T/on.of_off"
	done
	figure follow "tips: each round, of two shards" "$(wc -l < "$T/on.ms")" ""
	figure follow "tips: blocks a second" "$SPEED" "of each shard"
	for name in off on; do
		figure follow "tip, history $name: p50" "$(median < "$T/$name.p50")" ms
		figure follow "tip, history $name: p99" "$(median < "$T/$name.p99")" ms
	done
	figure follow tip "$(median < "$T/on.of_off")" "p99 with history, of that without"
}

# ---- catching up ----

is_whole() {
	[ "$("$CHAINFS" status "$1" --json 2> "$T/status.err" | python3 -c 'import json, sys
print(*[s["replayed"] for s in json.load(sys.stdin)["networks"][0]["shards"]])')" = "$last0 $last1 $last2" ]
}

measure_catch_up() {
	local round began ms cpu wall_import cpu_import
	for round in $(seq "$ROUNDS"); do
		rm -rf "$T/st"
		read -r ms cpu _ < <("$PROGRAMS/fsbench" run \
			"$CHAINFS" import "$T/st" "$archive" --network $NET --quiet) || fail "no import"
		wall_import=$(ratio "$ms" 1000) cpu_import=$(ratio "$cpu" 1000)
		rm -rf "$T/st"
		peer_start node --archive "$archive" || fail "no node"
		began=$(mono)
		follow "$T/st" "$PEER_PORT" --set sync.from=start
		eventually 600 is_whole "$T/st" || fail "it does not catch up"
		wall=$(awk -v a="$(mono)" -v b="$began" 'BEGIN { print a - b }') cpu=$(processors)
		echo "$wall" >> "$T/catch.wall"
		echo "$cpu" >> "$T/catch.cpu"
		echo "$wall_import" >> "$T/import.wall"
		echo "$cpu_import" >> "$T/import.cpu"
		ratio "$wall_import" "$wall" >> "$T/catch.of_wall"
		ratio "$cpu_import" "$cpu" >> "$T/catch.of_cpu"
		say "catch-up round $round: import $wall_import s ($cpu_import of processors), follow $wall s ($cpu)"
		unmount
		peer_stop node
	done
	figure follow "catch-up: wall" "$(median < "$T/catch.wall")" s
	figure follow "catch-up: processors" "$(median < "$T/catch.cpu")" s
	figure follow "import of the same: wall" "$(median < "$T/import.wall")" s
	figure follow "import of the same: processors" "$(median < "$T/import.cpu")" s
	figure follow "catch-up, of import, processors" "$(median < "$T/catch.of_cpu")" ""
	figure follow catch-up "$(median < "$T/catch.of_wall")" "of the speed of an import"
}

# ---- the split ----

# A store that holds the middle alone: above it is the head's, below it history.
middle() {
	[ -e "$KEEP/follow.middle.done" ] && return
	rm -rf "$KEEP/follow.middle"
	"$CHAINFS" import "$KEEP/follow.middle" "$archive" --network $NET --quiet \
		--range "$((last0 / 2))-$((last0 / 2))" \
		> "$T/import.out" 2>&1 || { cat "$T/import.out" >&2; fail "no store of the middle"; }
	touch "$KEEP/follow.middle.done"
}

samples() { # until nothing is missing: seconds, bytes of each lane, heights that each misses, the least
	# that the head's misses of a shard
	while :; do
		awk -v now="$(mono)" '
			/^chainfs_sync_bytes_total\{/ { bytes[index($1, "forward") ? 1 : 2] += $2 }
			/^chainfs_sync_heights_missing\{/ { missing[index($1, "forward") ? 1 : 2] += $2 }
			/^chainfs_sync_heights_missing\{.*forward/ { if (least == "" || $2 < least) least = $2 }
			END {
				print now, bytes[1] + 0, bytes[2] + 0, missing[1] + 0, missing[2] + 0,
					least + 0
			}' "$M/ctl/metrics" | tee "$T/sample"
		awk '{ exit !($2 > 0 && $4 + $5 == 0) }' "$T/sample" && return
		sleep 0.1
	done
}

measure_split() {
	local round
	middle
	for round in $(seq "$ROUNDS"); do
		rm -rf "$T/st"
		cp -r "$KEEP/follow.middle" "$T/st"
		peer_start node --archive "$archive" || fail "no node"
		# Little memory, so that what comes is what is checked, and not all at once.
		follow "$T/st" "$PEER_PORT" --set sync.memory=4M
		samples > "$WORK/follow.samples.$round"
		unmount
		peer_stop node
		# Bytes count when the request for them was answered. Both: from a tenth of the head's bytes until
		# nine tenths of them, or until a shard comes close to its head: from there on it goes first of
		# all, whatever the weights say, and the shards do not come there together. One alone: from when
		# all of the head's came until most of history did. What is done with bytes that came says nothing
		# of the line: when a shard is whole, all of it is replayed.
		awk -v share="$T/split.share" -v lent="$T/split.lent" '
			{ t[NR] = $1; f[NR] = $2; b[NR] = $3; least[NR] = $6 }
			END {
				for (i = 1; i <= NR; i++) {
					if (f[i] >= f[NR] * 0.1 && !from) from = i
					if (f[i] <= f[NR] * 0.9 && (f[i] == 0 || least[i] > 64)) to = i
					if (f[i] == f[NR] && !alone) alone = i
					if (b[i] <= b[NR] * 0.95) end = i
				}
				if (!from || to <= from || !alone || end <= alone) exit 1
				df = f[to] - f[from]; db = b[to] - b[from]; both = (df + db) / (t[to] - t[from])
				one = (b[end] + f[end] - b[alone] - f[alone]) / (t[end] - t[alone])
				printf "%.4f\n", df / (df + db) >> share
				printf "%.4f\n", one / both >> lent
				printf "# split round: %d + %d bytes in %.2f s; alone %d in %.2f s: ", df, db,
					t[to] - t[from], b[end] - b[alone], t[end] - t[alone] > "/dev/stderr"
				printf "forward %.3f, lent %.3f\n", df / (df + db),
					one / both > "/dev/stderr"
			}' "$WORK/follow.samples.$round" || fail "too little came to tell the split"
	done
	figure follow "split: the head's part of the bytes" "$(median < "$T/split.share")" "of 0.70"
	figure follow split "$(median < "$T/split.share" |
		awk '{ printf "%.4f", ($1 > 0.7 ? $1 - 0.7 : 0.7 - $1) }')" "from the head's weight"
	figure follow idle-share "$(median < "$T/split.lent")" "of both lanes' speed has one alone"
}

for part in $FOLLOW_PARTS; do
	case $part in
	tips) measure_tips ;;
	catch-up) measure_catch_up ;;
	split) measure_split ;;
	*) fail "what is $part?" ;;
	esac
done
