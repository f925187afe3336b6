#!/bin/bash
# Full disks: tests/faults/full.sh [SEED=1] [STEPS=2] [FS=tmpfs|ext4] [MODE="sizes verbs spent daemon"]
# alone: mounts disks
#
# sizes   a store is begun on disks of STEPS sizes, from too small for anything to just large enough,
#         and other files fill the disk at any moment of an import
# verbs   the disk of a store is filled up to the last byte, or a drawn number of bytes: every verb ends
#         with a sentence and a documented code, loses nothing, and goes on when there is room
# daemon  the disk runs full below a mount: reads go on, status says so, imports and pins are refused
#         with 6, and are taken again, by the same process, when there is room
# spent   the reserve is gone as well: the store is mounted for reading alone, and what makes room works
. "$(dirname "$0")/lib.bash" "$@"

STEPS=${STEPS:-2}
MODE=${MODE:-sizes verbs spent daemon}
FS=${FS:-tmpfs}
MIB=160
echo "# SEED=$SEED STEPS=$STEPS FS=$FS MODE=\"$MODE\""
whole=$T/whole store=$T/disk/store
mkdir -p "$T/mnt"
documented=' 0 6 74 '
declare -A codes=()

import_into() { "$CHAINFS" import "$1" "$ARCHIVE" --hyper on --quiet --set import.commit=5ms "${@:2}"; }

# fill_up LEFT_KIB: others use the disk, up to so much
fill_up() {
	dd if=/dev/zero of="$T/disk/ballast" bs=64k 2> /dev/null
	dd if=/dev/zero of="$T/disk/ballast2" bs=1k 2> /dev/null
	sync -f "$T/disk"
	[ "$1" = 0 ] || truncate -s "-$1k" "$T/disk/ballast"
	sync -f "$T/disk"
}
free_up() {
	rm -f "$T/disk/ballast" "$T/disk/ballast2"
	sync -f "$T/disk"
}

# ends_well COMMAND…: with a documented code, and a sentence when it is not 0; $code
ends_well() {
	timeout 60 "$@" > "$T/verb.out" 2>&1
	code=$?
	codes[$code]=$((${codes[$code]:-0} + 1))
	[[ $documented == *" $code "* ]] || { echo "exit status $code: $*"; cat "$T/verb.out"; return 1; }
	[ "$code" = 0 ] || grep -q '^chainfs.*: ' "$T/verb.out" || { echo "no sentence: $*"; return 1; }
}

holds() { local now; now=$(held "$store") && holds_all "$1" "$now"; }

ends_whole() {
	local digest
	import_into "$store" > "$T/verb.out" 2>&1 || { cat "$T/verb.out"; return 1; }
	digest=$(dump_digest "$store") && fsck_is_clean "$store" || { echo "$digest"; return 1; }
	[ "$digest" = "$wanted" ] || { echo "the store differs from the undisturbed one"; return 1; }
}

# An import that its disk is too small for: up to where it comes, it keeps
too_small() {
	local step mib
	for ((step = 0; step < STEPS && SECONDS - STARTED < BOUND; step++)); do
		mib=$((20 + step * 80 / STEPS))
		disk_make disk "$FS" $mib
		ends_well "$CHAINFS" import "$store" "$ARCHIVE" --hyper on --quiet || { echo "$mib MiB"; return 1; }
		if [ -e "$store/chainfs-store" ]; then
			ends_well "$CHAINFS" fsck "$store" && [ $code = 0 ] ||
				{ cat "$T/verb.out"; echo "$mib MiB"; return 1; }
		fi
		disk_off disk
	done
}

# Something grows beside an import: it stops, at some moment, and keeps what it acknowledged
filled_meanwhile() {
	local step pid
	for ((step = 0; step < STEPS && SECONDS - STARTED < BOUND; step++)); do
		disk_make disk "$FS" $MIB
		draw 400
		"$CHAINFS" import "$store" "$ARCHIVE" --hyper on --quiet --set import.commit=5ms,log.level=debug \
			> "$T/verb.out" 2> "$T/trace" &
		pid=$!
		pause "$drawn"
		draw 64
		fill_up "$drawn"
		wait $pid
		code=$?
		codes[$code]=$((${codes[$code]:-0} + 1))
		[[ $documented == *" $code "* ]] || { echo "exit status $code"; tail -n 5 "$T/trace"; return 1; }
		if [ ! -e "$store/chainfs-store" ]; then
			free_up
		else
			ends_well "$CHAINFS" status "$store" || return 1
			free_up
			holds "$(acknowledged "$T/trace")" || return 1
		fi
		ends_whole || return 1
		disk_off disk
	done
}

# Every verb on a store whose disk has so many bytes left
every_verb() {
	local step left before list
	for ((step = 0; step < STEPS && SECONDS - STARTED < BOUND; step++)); do
		disk_make disk "$FS" $MIB
		import_into "$store" --range 1-300 > /dev/null 2>&1 && "$CHAINFS" pin "$store" a > /dev/null || return 1
		left=0
		if [ $step -gt 0 ]; then
			draw $((2 << (step * 12 / STEPS)))
			left=$drawn
		fi
		fill_up "$left"
		before=$(held "$store")
		[ -n "$before" ] || { echo "$left KiB left: no status"; return 1; }
		for list in "status $store" "gaps $store" "verify $store" "checkpoints $store" "fsck $store" \
			"hyper audit $store"; do
			# shellcheck disable=SC2086
			ends_well "$CHAINFS" $list && [ $code = 0 ] ||
				{ echo "$left KiB left: $list"; cat "$T/verb.out"; return 1; }
		done
		for list in "import $store $ARCHIVE" "pin $store b" \
			"checkpoint $store $T/disk/out" "export $store $T/disk/x" \
			"fsck $store --repair"; do
			# shellcheck disable=SC2086
			ends_well "$CHAINFS" $list || { echo "$left KiB left: $list"; return 1; }
		done
		ends_well "$CHAINFS" restore "$T/disk/other" "$store"/networks/*/checkpoints/* --network devnet &&
			[ $code = 6 ] ||
			{ echo "$left KiB left: restore ended with $code"; cat "$T/verb.out"; return 1; }
		[ ! -e "$T/disk/other" ] || { echo "half a restore"; return 1; }
		ends_well "$CHAINFS" unpin "$store" a && [ $code = 0 ] || { cat "$T/verb.out"; return 1; }
		holds "$before" || return 1
		"$CHAINFS" unpin "$store" b > /dev/null 2>&1
		free_up
		rm -rf "$T/disk/out" "$T/disk/x"
		ends_whole || return 1
		disk_off disk
	done
}

reads_all() {
	local now
	now=$(cat "$T"/mnt/*/legacy/state/roots.tsv "$T"/mnt/*/legacy/blocks/*/items.jsonl | sha256sum)
	[ "$now" = "$1" ]
}
says_full() { "$CHAINFS" status "$store" | grep -q '^read-only: disk full'; }
says_writable() { "$CHAINFS" status "$store" --json | grep -q '"writable": true'; }
event() { grep -qe "$1" "$T/events"; }

below_a_mount() {
	local daemon before
	disk_make disk "$FS" $MIB
	import_into "$store" --range 1-300 > /dev/null 2>&1 && "$CHAINFS" mount "$store" "$T/mnt" || return 1
	daemon=$(daemon_of "$store")
	before=$(cat "$T"/mnt/*/legacy/state/roots.tsv "$T"/mnt/*/legacy/blocks/*/items.jsonl | sha256sum)
	cat "$T/mnt/ctl/events" > "$T/events" &
	fill_up "$1"
	eventually 10 event '- disk state=full' || { echo "no event says that the disk is full"; return 1; }
	says_full || { echo "status does not say so"; return 1; }
	reads_all "$before" || { echo "a read failed on the full disk"; return 1; }
	ends_well "$CHAINFS" import "$store" "$ARCHIVE" && [ $code = 6 ] ||
		{ echo "import ended with $code"; cat "$T/verb.out"; return 1; }
	ends_well "$CHAINFS" pin "$store" b && [ $code = 6 ] || { echo "pin ended with $code"; return 1; }
	reads_all "$before" || { echo "a read failed after the refusals"; return 1; }
	free_up
	eventually 10 says_writable || { echo "it stays read-only"; return 1; }
	event '- disk state=room' || eventually 5 event '- disk state=room' ||
		{ echo "no event of the room"; return 1; }
	ends_well "$CHAINFS" import "$store" "$ARCHIVE" && [ $code = 0 ] || { cat "$T/verb.out"; return 1; }
	[ "$daemon" = "$(daemon_of "$store")" ] || { echo "another daemon"; return 1; }
	umount "$T/mnt" && eventually 20 is_gone "$daemon" || return 1
	ends_whole || return 1
	disk_off disk
}

# It runs full in the middle of an import that the daemon does
below_an_import() {
	local daemon pid
	disk_make disk "$FS" $MIB
	import_into "$store" --range 1-100 > /dev/null 2>&1 &&
		"$CHAINFS" mount "$store" "$T/mnt" --set import.commit=5ms || return 1
	daemon=$(daemon_of "$store")
	"$CHAINFS" import "$store" "$ARCHIVE" > "$T/verb.out" 2>&1 &
	pid=$!
	draw 300
	pause "$drawn"
	fill_up 0
	wait $pid
	code=$?
	[[ " 0 6 " == *" $code "* ]] || { echo "import ended with $code"; cat "$T/verb.out"; return 1; }
	cat "$T"/mnt/*/legacy/blocks/*/items.jsonl > /dev/null || return 1
	free_up
	eventually 10 says_writable || return 1
	ends_well "$CHAINFS" import "$store" "$ARCHIVE" && [ $code = 0 ] || { cat "$T/verb.out"; return 1; }
	is_daemon "$daemon" || { echo "the daemon ended"; return 1; }
	umount "$T/mnt" && eventually 20 is_gone "$daemon" || return 1
	ends_whole || return 1
	disk_off disk
}

# Not even the reserve is left, as after several starts on a disk that others fill each time
without_reserve() {
	local before daemon
	disk_make disk "$FS" $MIB
	import_into "$store" --range 1-300 > /dev/null 2>&1 && "$CHAINFS" pin "$store" a > /dev/null || return 1
	before=$(held "$store")
	rm "$store/reserve"
	fill_up 0
	[ "$(held "$store" 2> /dev/null)" = "$before" ] || { echo "another status than before"; return 1; }
	says_full || { echo "status does not say that the disk is full"; return 1; }
	ends_well "$CHAINFS" import "$store" "$ARCHIVE" && [ $code = 6 ] || { cat "$T/verb.out"; return 1; }
	can_mount || { free_up; disk_off disk; return 0; }
	"$CHAINFS" mount "$store" "$T/mnt" 2> "$T/verb.out" || { cat "$T/verb.out"; return 1; }
	daemon=$(daemon_of "$store")
	cat "$T"/mnt/*/legacy/blocks/*/items.jsonl > /dev/null || return 1
	umount "$T/mnt" && { [ -z "$daemon" ] || eventually 20 is_gone "$daemon"; } || return 1
	ends_well "$CHAINFS" unpin "$store" a && [ $code = 0 ] ||
		{ echo "unpin ended with $code"; cat "$T/verb.out"; return 1; }
	[ -z "$(ls "$store"/networks/*/checkpoints)" ] || { echo "no room was made"; return 1; }
	free_up
	ends_whole || return 1
	disk_off disk
}

import_into "$whole" > /dev/null 2>&1 || exit 1
wanted=$(dump_digest "$whole") || exit 1
for mode in $MODE; do
	case $mode in
	sizes)
		tell "on $STEPS disks that are too small an import ends with a sentence, and fsck finds nothing" \
			too_small
		tell "imports that $STEPS disks run full below keep what they acknowledged, and go on" filled_meanwhile
		;;
	verbs) tell "with next to nothing left every verb reads or refuses, and unpin makes room" every_verb ;;
	spent) tell "without a reserve the store is read, and what makes room works" without_reserve ;;
	daemon)
		if ! can_mount; then
			echo "ok - a daemon on a full disk # skip only root mounts here"
			continue
		fi
		tell "a mount reads on a full disk, refuses to write, and goes on by itself" below_a_mount 0
		tell "the same with some bytes left" below_a_mount 700
		tell "the disk of a daemon that imports runs full: it goes on by itself" below_an_import
		;;
	esac
done
echo "# exit codes:$(for code in "${!codes[@]}"; do echo -n " $code: ${codes[$code]} times;"; done)" \
	"$((SECONDS - STARTED)) s"
