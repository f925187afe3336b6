#!/bin/bash
# kill -9 at random moments:
# tests/faults/kill.sh [SEED=1] [KILLS=12] [MODE=import|compaction|pin|repair|all]
#
# import      at any moment of an import that acknowledges every few milliseconds, opening included
# compaction  while an import that has told its end closes: the database is flushed and rewritten
# pin         while a checkpoint is built, or one is taken away
# repair      while `fsck --repair` mends a store with damage of one to three kinds (rot.py), again and
#             again until one comes to its end; then an import fills it
#
# After every kill the store opens without help, and nothing acknowledged before the kill is missing.
# Whenever a store is filled, and every CHECK kills, fsck finds nothing. A filled store is, byte for
# byte, the one that nobody disturbed.
. "$(dirname "$0")/lib.bash" "$@"

KILLS=${KILLS:-12}
MODE=${MODE:-all}
CHECK=${CHECK:-25}
SPREAD=${SPREAD:-400} # a kill comes so many milliseconds after the start at most
echo "# SEED=$SEED KILLS=$KILLS MODE=$MODE CHECK=$CHECK SPREAD=$SPREAD"

whole=$T/whole store=$T/store
killed=0 mid=0 acks=0 filled=0 checks=0

# import STORE TRACE: what it acknowledges goes to TRACE, at once
into_import() { # the program takes this process over, so that it is the program which is killed
	exec "$CHAINFS" import "$1" "$ARCHIVE" --hyper on --quiet --set import.commit=5ms,log.level=debug \
		> "$2.out" 2> "$2"
}
import_of() { (into_import "$@"); }

# end_by_kill PID MILLISECONDS: 0 when it was killed, 1 when it had come to its end before
end_by_kill() {
	pause "$2"
	kill -9 "$1" 2> /dev/null
	wait "$1" 2> /dev/null
	[ $? = 137 ]
}

# opens_with ACKNOWLEDGED: by itself, in time, with all of it; $now is what is there
opens_with() {
	local began=$SECONDS
	[ -e "$store/chainfs-store" ] || { [ -z "$1" ]; return; }
	now=$(held "$store") || { echo "kill $killed: it does not open"; "$CHAINFS" status "$store"; return 1; }
	[ $((SECONDS - began)) -le 20 ] || { echo "kill $killed: opening took $((SECONDS - began)) s"; return 1; }
	holds_all "$1" "$now"
}

looks_well() {
	checks=$((checks + 1))
	fsck_is_clean "$store"
}

# Some kills of one kind: an import
kills_of_import() { # COUNT
	local pid have before=$killed
	while [ $((killed - before)) -lt "$1" ] && ! out_of_time; do
		draw "$SPREAD"
		into_import "$store" "$T/trace" &
		pid=$!
		if end_by_kill $pid "$drawn"; then
			killed=$((killed + 1))
			have=$(acknowledged "$T/trace")
			[ -z "$have" ] || mid=$((mid + 1))
			acks=$((acks + $(grep -c acknowledged "$T/trace")))
			opens_with "$have" || return 1
			[ $((killed % CHECK)) != 0 ] || looks_well || return 1
			continue
		fi
		grep -q . "$T/trace.out" || { echo "an import failed by itself:"; cat "$T/trace"; return 1; }
		is_whole || return 1
	done
	import_of "$store" "$T/trace" || { cat "$T/trace"; return 1; }
	is_whole
}

# The store is filled: it is the undisturbed one. A new one begins.
is_whole() {
	local digest
	digest=$(dump_digest "$store") || { echo "it cannot be dumped: $digest"; return 1; }
	[ "$digest" = "$wanted" ] || { echo "the filled store differs from the undisturbed one"; return 1; }
	looks_well || return 1
	filled=$((filled + 1))
	rm -rf "$T/survivor"
	mv "$store" "$T/survivor"
}

# Heights are added a few at a time: each import writes, tells, and closes, which rewrites the
# store.
kills_of_compaction() { # COUNT
	local pid have before=$killed first=1 last
	rm -rf "$store"
	while [ $((killed - before)) -lt "$1" ] && ! out_of_time; do
		last=$((first + 7))
		: > "$T/trace.out"
		"$CHAINFS" import "$store" "$ARCHIVE" --hyper on --quiet --range "$first-$last" \
			--set log.level=debug > "$T/trace.out" 2> "$T/trace" &
		pid=$!
		until [ -s "$T/trace.out" ] || [ ! -d "/proc/$pid" ]; do sleep 0.002; done
		have=$(acknowledged "$T/trace")
		draw $((SPREAD / 6))
		if end_by_kill $pid "$drawn"; then
			killed=$((killed + 1)) mid=$((mid + 1))
		fi
		acks=$((acks + $(grep -c acknowledged "$T/trace")))
		opens_with "$have" || return 1
		[ $((killed % CHECK)) != 0 ] || looks_well || return 1
		first=$((last + 1))
		[ $first -le 640 ] || { import_of "$store" "$T/trace" && is_whole && first=1 || return 1; }
	done
	import_of "$store" "$T/trace" && is_whole
}

# Pins come and go; some are told to be complete, and stay so.
kills_of_pin() { # COUNT
	local pid name n=0 before=$killed list verb
	local -A complete=()
	rm -rf "$store"
	cp -a "$whole" "$store" || return 1
	while [ $((killed - before)) -lt "$1" ] && ! out_of_time; do
		n=$((n + 1))
		name=p$((n % 12))
		draw 640
		verb=(pin "$store" "$name" --height $((drawn + 1)) --quiet)
		if [ -n "${complete[$name]:-}" ]; then
			verb=(unpin "$store" "$name")
			unset "complete[$name]"
		fi
		: > "$T/pin.out"
		"$CHAINFS" "${verb[@]}" > "$T/pin.out" 2>&1 &
		pid=$!
		draw $((SPREAD / 3))
		if end_by_kill $pid "$drawn"; then
			killed=$((killed + 1)) mid=$((mid + 1))
		fi
		# What pin prints at its end is the acknowledgement.
		if [ "${verb[0]}" = pin ] && grep -qE '^[0-9]{10}-' "$T/pin.out"; then
			complete[$name]=$(cat "$T/pin.out") acks=$((acks + 1))
		fi
		list=$("$CHAINFS" checkpoints "$store" 2>&1) || { echo "kill $killed: $list"; return 1; }
		for name in "${!complete[@]}"; do
			grep -qP "\t$name\t[0-9]+\tcomplete\t${complete[$name]}\$" <<< "$list" &&
				(cd "$store"/networks/*/checkpoints/"${complete[$name]}" &&
					sha256sum --quiet -c SHA256SUMS) && continue
			echo "kill $killed: pin $name was complete as ${complete[$name]}; now:"
			echo "$list"
			return 1
		done
		# One that was begun and killed goes on with the next pin; a name may be taken by
		# now.
		name=p$((n % 12))
		if [ -z "${complete[$name]:-}" ]; then
			"$CHAINFS" unpin "$store" "$name" > /dev/null 2>&1
		fi
		[ $((killed % CHECK)) != 0 ] || looks_well || return 1
	done
	for name in "${!complete[@]}"; do
		"$CHAINFS" unpin "$store" "$name" || return 1
	done
	[ -z "$(ls "$store"/networks/*/checkpoints)" ] || { ls "$store"/networks/*/checkpoints; return 1; }
	is_whole
}

# opens_or_tells: what a person meets who does not know of the repair
opens_or_tells() {
	"$CHAINFS" status "$store" > "$T/status.out" 2>&1 || grep -q 'fsck --repair' "$T/status.out" || {
		echo "kill $killed: it does not open, and does not say what to do:"
		cat "$T/status.out"
		return 1
	}
}

inode_of() { stat -c %i "$1" 2> /dev/null; }

# Kills one repair: at any moment, or, every third time, when what is made anew is about to get the
# place: 0 killed, 1 it came to its end, 2 it ended otherwise
kill_repair() {
	local pid place began=$EPOCHREALTIME code
	place=$(echo "$store"/networks/*)
	began=$(inode_of "$place")
	draw 3
	local late=$((drawn == 0))
	draw "$repair_ms"
	"$CHAINFS" fsck "$store" --repair --quiet > "$T/repair.out" 2>&1 &
	pid=$!
	if [ $late = 1 ]; then
		draw 3
		case $drawn in # of links, of the two names, of what is taken away
		0) until [ -e "$store"/networks/.[a-z]*.new/pins ] || [ ! -d /proc/$pid ]; do sleep 0.001; done ;;
		*) until [ "$(inode_of "$place")" != "$began" ] || [ ! -d /proc/$pid ]; do :; done ;;
		esac
		draw 12
	fi
	pause "$drawn"
	kill -9 $pid 2> /dev/null
	wait $pid 2> /dev/null
	code=$?
	[ $code != 137 ] || return 0
	case $code in
	0 | 4) return 1 ;;
	*) echo "a repair ended with $code by itself:"; cat "$T/repair.out"; return 2 ;;
	esac
}

# A store that was pinned and closed, or one whose import was killed: what there is to be damaged
damaged_store() {
	rm -rf "$store"
	draw 2
	if [ "$drawn" = 0 ]; then
		draw "$SPREAD"
		into_import "$store" "$T/trace" &
		end_by_kill $! $((drawn + 50))
		pinned=
		# Too early: there is no network that could be damaged.
		[ ! -s "$(echo "$store"/networks/*/acknowledged)" ] || [ ! -s "$(echo "$store"/networks/*/segments/000001.seg)" ] || return 0
		rm -rf "$store"
	fi
	pinned=$checkpoint
	cp -a "$T/pinned" "$store"
}

is_mended() {
	local digest left
	"$CHAINFS" fsck "$store" --repair --quiet > "$T/repair.out" 2>&1
	case $? in
	0 | 4) ;;
	*) echo "a repair that was left alone failed:"; cat "$T/repair.out"; return 1 ;;
	esac
	import_of "$store" "$T/trace" || { echo "an import after it failed:"; cat "$T/trace" "$T/trace.out"; return 1; }
	# A checkpoint of heights that were lost is built again once they are there.
	[ -z "$pinned" ] || "$CHAINFS" fsck "$store" --repair --quiet > "$T/repair.out" 2>&1
	looks_well || return 1
	digest=$(dump_digest "$store") || { echo "it cannot be dumped: $digest"; return 1; }
	[ "$digest" = "$wanted" ] || { echo "the mended store differs from the undisturbed one"; return 1; }
	if [ -n "$pinned" ] && [ "$(tree_digest "$store/$pinned")" != "$(tree_digest "$T/pinned/$pinned")" ]; then
		echo "the checkpoint differs"
		return 1
	fi
	left=$(find "$store" -name '*.new' -o -name '.mend' -o -name '*.gone' -o -name '*.part')
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
	filled=$((filled + 1))
}

# The last of all: it goes on with a chain of its own, a small one, so that most of the time is repairs'.
kills_of_repair() { # COUNT
	local before=$killed flips began rc
	rm -rf "$T/pinned" "$store"
	ARCHIVE=$T/small whole=$T/small-whole
	"$CHAINFS" forge "$ARCHIVE" --seed 5 --blocks 80 --messages 400 --accounts 12 --quiet || return 1
	import_of "$whole" "$T/trace" || { cat "$T/trace"; return 1; }
	wanted=$(dump_digest "$whole") || return 1
	cp -a "$whole" "$T/pinned"
	checkpoint=$("$CHAINFS" pin "$T/pinned" kept --quiet) || return 1
	checkpoint=$(cd "$T/pinned" && echo networks/*/checkpoints/"$checkpoint")
	# How long one takes that makes the network anew, here and now.
	cp -a "$T/pinned" "$store" && rm "$store"/networks/*/db/CURRENT
	began=${EPOCHREALTIME/./}
	"$CHAINFS" fsck "$store" --repair --quiet > "$T/repair.out" 2>&1
	repair_ms=$(((${EPOCHREALTIME/./} - began) / 1000 * 3 / 4)) # most damage takes less
	pinned=$checkpoint
	is_mended || return 1
	while [ $((killed - before)) -lt "$1" ] && ! out_of_time; do
		damaged_store || return 1
		draw 3
		flips=$((drawn + 1))
		draw 1000000
		python3 "$HERE/rot.py" flip "$store" "$drawn" $flips > "$T/flips" || return 1
		while [ $((killed - before)) -lt "$1" ]; do
			kill_repair
			rc=$?
			[ $rc != 2 ] || { cat "$T/flips"; return 1; }
			[ $rc = 0 ] || break
			killed=$((killed + 1))
			! compgen -G "$store/networks/.*.new" > /dev/null || mid=$((mid + 1))
			opens_or_tells || { cat "$T/flips"; return 1; }
			draw 4
			[ "$drawn" != 0 ] || break
		done
		is_mended || { cat "$T/flips"; return 1; }
	done
	rm -rf "$T/survivor"
	mv "$store" "$T/survivor"
}

import_of "$whole" "$T/trace" || { cat "$T/trace"; exit 1; }
wanted=$(dump_digest "$whole") || exit 1
modes=$MODE
[ "$MODE" != all ] || modes="import compaction pin repair"
count=$(wc -w <<< "$modes")
for mode in $modes; do
	share=$((KILLS / count))
	[ "$mode" != import ] || share=$((KILLS - share * (count - 1)))
	[ $share -gt 0 ] || continue
	sentence="$share kills lose nothing acknowledged"
	[ "$mode" != repair ] || sentence="$share kills leave what the next repair mends, and an import fills"
	tell "$mode: $sentence" "kills_of_$mode" $share
done
reads_alike() { [ "$(mount_digest "$T/survivor")" = "$(mount_digest "$whole")" ]; }
if can_mount && [ -d "$T/survivor" ]; then
	tell "a mount of what was filled between kills reads as one of the undisturbed store" reads_alike
fi
! out_of_time || echo "# stopped after $BOUND s"
echo "# $killed kills of $KILLS, $mid of them after an acknowledgement or in the middle; $acks acknowledgements," \
	"$filled stores filled, $checks times fsck, $((SECONDS - STARTED)) s"
check "as many kills as were asked for" [ "$killed" -ge "$KILLS" ]
