#!/bin/bash
# Power cuts: tests/faults/power.sh [SEED=1] [CUTS=4] [FS=ext4|xfs]
# alone: mounts disks
#
# A store on a disk image of its own is written to (an import, pins, their end, the rewriting of the
# database) until the disk's power is cut; then it is taken away, put back, and looked at as after a
# kill: it opens without help, nothing acknowledged is missing, fsck finds nothing, and when the import
# has come to its end the store is the undisturbed one.
#
# What was acknowledged is written down, on another disk, before the cut: what a program says while
# the power goes is no promise.
. "$(dirname "$0")/lib.bash" "$@"

CUTS=${CUTS:-4}
FS=${FS:-ext4}
SPREAD=${SPREAD:-300}
OPTIONS=${OPTIONS:-}
echo "# SEED=$SEED CUTS=$CUTS FS=$FS SPREAD=$SPREAD"

whole=$T/whole store=$T/disk/store
cuts=0 told=0 filled=0

import_here() {
	exec "$CHAINFS" import "$1" "$ARCHIVE" --hyper on --quiet "${@:2}" $OPTIONS --set log.level=debug \
		> "$T/said.out" 2> "$T/trace"
}
pins_here() { # what is told is the acknowledgement; each line is written at once
	local n
	for n in 1 2 3 4 5 6; do
		draw 300
		"$CHAINFS" pin "$store" "p$n" --height $((drawn + 1)) --quiet > "$T/pin.$n" 2> "$T/pin.err" &&
			echo "p$n $(cat "$T/pin.$n")" >> "$T/pinned"
		if [ $n -gt 2 ]; then
			"$CHAINFS" unpin "$store" "p$((n - 2))" > /dev/null 2>&1 && echo "p$((n - 2))" >> "$T/unpinned"
		fi
	done
}

is_still_pinned() { # by the lists as they were before the cut
	local list name checkpoint
	list=$("$CHAINFS" checkpoints "$store" 2>&1) || { echo "$list"; return 1; }
	while read -r name checkpoint; do
		grep -qx "$name" "$T/unpinned.before" "$T/unpinned" && continue
		grep -qP "\t$name\t[0-9]+\tcomplete\t$checkpoint\$" <<< "$list" &&
			(cd "$store"/networks/*/checkpoints/"$checkpoint" &&
			sha256sum --quiet -c SHA256SUMS) && continue
		echo "pin $name was complete as $checkpoint before the cut; now:"
		echo "$list"
		return 1
	done < "$T/pinned.before"
	while read -r name; do
		! grep -qP "\t$name\t" <<< "$list" || { echo "unpinned $name is there again: $list"; return 1; }
	done < "$T/unpinned.before"
}

has_told() { # it has acknowledged something, or ended
	grep -qE 'acknowledged .* held=[1-9]' "$T/trace" || [ -s "$T/pinned" ] || ! kill -0 "$1" 2> /dev/null
}

one_cut() {
	local pid code have now
	: > "$T/trace" && : > "$T/pinned" && : > "$T/unpinned" && : > "$T/said.out"
	draw 4
	case $drawn in
	0 | 1) import_here "$store" --set import.commit=5ms & ;;
	2) # one that has to be rewritten when it closes
		draw 600
		import_here "$store" --range "1-$((drawn + 1))" & ;;
	3) pins_here & ;;
	esac
	pid=$!
	# One in four at any moment, the opening included; else once something was acknowledged.
	draw 4
	[ "$drawn" = 0 ] || eventually 5 has_told $pid
	draw "$SPREAD"
	pause "$drawn"
	have=$(acknowledged "$T/trace")
	cp "$T/pinned" "$T/pinned.before"
	cp "$T/unpinned" "$T/unpinned.before"
	disk_cut disk || return 1
	cuts=$((cuts + 1))
	[ -z "$have$(cat "$T/pinned.before")" ] || told=$((told + 1))
	kill -9 $pid 2> /dev/null
	wait $pid 2> /dev/null
	eventually 10 is_gone $pid
	disk_off disk || return 1
	disk_on disk
	if [ ! -e "$store/chainfs-store" ]; then
		[ -z "$have" ] || { echo "cut $cuts: the store is gone"; return 1; }
		return 0
	fi
	now=$(held "$store") || { echo "cut $cuts: it does not open"; "$CHAINFS" status "$store"; return 1; }
	holds_all "$have" "$now" || { echo "cut $cuts"; return 1; }
	if [ -s "$T/pinned.before" ]; then
		is_still_pinned || { echo "cut $cuts"; return 1; }
	fi
	fsck_is_clean "$store" || { echo "cut $cuts"; return 1; }
	return 0
}

fill() { # to the end; the store is the undisturbed one, and another begins
	local digest n
	(import_here "$store") || { cat "$T/trace"; return 1; }
	for n in 1 2 3 4 5 6; do
		"$CHAINFS" unpin "$store" p$n > /dev/null 2>&1
	done
	digest=$(dump_digest "$store") || { echo "$digest"; return 1; }
	[ "$digest" = "$wanted" ] || { echo "the filled store differs from the undisturbed one"; return 1; }
	fsck_is_clean "$store" || return 1
	filled=$((filled + 1))
	rm -rf "$store"
}

all_cuts() {
	while [ $cuts -lt "$CUTS" ] && ! out_of_time; do
		one_cut || return 1
		[ $((cuts % 8)) != 0 ] || fill || return 1
	done
	fill
}

(import_here "$whole") || { cat "$T/trace"; exit 1; }
wanted=$(dump_digest "$whole") || exit 1
disk_make disk "$FS" 400
tell "$CUTS power cuts on $FS lose nothing acknowledged" all_cuts
echo "# $cuts cuts of $CUTS, $told of them after an acknowledgement, $filled stores filled, $((SECONDS - STARTED)) s"
check "as many cuts as were asked for" [ "$cuts" -ge "$CUTS" ]
