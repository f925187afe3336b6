#!/bin/bash
# I/O errors and what stops at them: tests/faults/failstop.sh [SEED=1] [CUTS=2] [TRIALS=4]
# alone: mounts disks
#
# abort   a library that gives up: one line, exit code 74, and the next start has everything
# cut     CUTS times the disk goes away below a daemon that imports and is read: readers get the right
#         bytes or an error, the daemon stays or ends with 74; back again, it is started anew, as a
#         service manager does, and nothing acknowledged is missing
# errors  TRIALS stores whose imports meet writes, syncs, opens and renames that fail (fail.c), each then
#         opens as after a kill, and is filled to the undisturbed one
. "$(dirname "$0")/lib.bash" "$@"

CUTS=${CUTS:-2}
TRIALS=${TRIALS:-4}
echo "# SEED=$SEED CUTS=$CUTS TRIALS=$TRIALS"
can_mount || skip "only root mounts here"
whole=$T/whole
mkdir -p "$T/mnt"
declare -A codes=()
reads=0 errors=0

import_into() { "$CHAINFS" import "$1" "$ARCHIVE" --hyper on --quiet --set import.commit=5ms "${@:2}"; }
ended_with() { codes[$1]=$((${codes[$1]:-0} + 1)); }
digest_is_wanted() {
	local digest
	digest=$(dump_digest "$1") && fsck_is_clean "$1" || { echo "$digest"; return 1; }
	[ "$digest" = "$wanted" ] || { echo "the store differs from the undisturbed one"; return 1; }
}
other_than() { local now; now=$(daemon_of "$T/aborted") && [ -n "$now" ] && [ "$now" != "$1" ]; }
answers() { [ -s "$T"/mnt/*/head/header ]; }
is_unmounted() { ! mountpoint -q "$T/mnt"; }

aborts() {
	local pid code worker
	import_into "$T/aborted" --range 1-200 > /dev/null 2>&1 || return 1
	(exec "$CHAINFS" mount --foreground "$T/aborted" "$T/mnt" > "$T/out" 2>&1) &
	pid=$!
	eventually 20 answers || { cat "$T/out"; return 1; }
	worker=$(daemon_of "$T/aborted")
	kill -ABRT "$worker"
	eventually 20 other_than "$worker" && eventually 20 answers ||
		{ echo "no other worker serves"; cat "$T/out"; return 1; }
	grep -q "^chainfs: stopped by SIGABRT of process $$; nothing acknowledged is lost$" \
		"$T/out" || { cat "$T/out"; return 1; }
	: > "$T/out"
	worker=$(daemon_of "$T/aborted")
	kill -ABRT $pid
	wait $pid
	code=$?
	[ $code = 74 ] || { echo "it ended with $code"; cat "$T/out"; return 1; }
	grep -q "^chainfs: stopped by SIGABRT of process $$; nothing acknowledged is lost$" \
		"$T/out" || { cat "$T/out"; return 1; }
	eventually 20 is_gone "$worker" || { echo "the worker stays"; return 1; }
	"$CHAINFS" mount "$T/aborted" "$T/mnt" && answers || return 1
	umount "$T/mnt" && eventually 20 is_unheld "$T/aborted" || return 1
	import_into "$T/aborted" > /dev/null 2>&1 && digest_is_wanted "$T/aborted"
}

# Reads files over and over: right bytes or an error; a line for what is neither
reader() { # LIST of "DIGEST  PATH", as sha256sum prints them
	local sum path got
	while [ -e "$T/reading" ]; do
		while read -r sum path; do
			got=$(sha256sum "$path" 2> /dev/null)
			if [ -z "$got" ]; then
				echo error
			elif [ "${got%% *}" = "$sum" ]; then
				echo right
			else
				echo "wrong $path"
			fi
			[ -e "$T/reading" ] || break
		done < "$1"
	done
}

one_cut() {
	local pid code have store=$T/disk/store readers=() n
	disk_make disk ext4 300
	import_into "$store" --range 1-150 > /dev/null 2>&1 || return 1
	(exec "$CHAINFS" mount --foreground "$store" "$T/mnt" --set import.commit=5ms,log.level=debug \
		> "$T/out" 2> "$T/trace") &
	pid=$!
	eventually 20 answers || { cat "$T/trace"; return 1; }
	find "$T"/mnt/*/legacy/blocks/0000000000-*/ "$T"/mnt/*/hyper/at/100/ -name '*.json' \
		-print0 | sort -z | head -z -n 400 |
		xargs -0 sha256sum > "$T/sums"
	touch "$T/reading"
	for n in 1 2 3; do
		reader "$T/sums" > "$T/read.$n" &
		readers+=($!)
	done
	timeout 30 "$CHAINFS" import "$store" "$ARCHIVE" > /dev/null 2>&1 &
	draw 500
	pause "$drawn"
	have=$(acknowledged "$T/trace")
	disk_cut disk || return 1
	pause 300
	rm "$T/reading"
	eventually 20 sh -c "! kill -0 ${readers[*]} 2> /dev/null" || { echo "a reader hangs"; return 1; }
	wait "${readers[@]}"
	if grep -h wrong "$T"/read.*; then
		return 1
	fi
	reads=$((reads + $(cat "$T"/read.* | grep -c right))) errors=$((errors + $(cat "$T"/read.* | grep -c error)))
	# Alive it serves what it has; a stop brings it to its end, whatever the disk says.
	kill -TERM $pid 2> /dev/null
	wait $pid
	code=$?
	ended_with $code
	[[ " 0 2 6 32 70 74 " == *" $code "* ]] ||
		{ echo "the daemon ended with $code"; tail -n 5 "$T/trace"; return 1; }
	[ $code != 74 ] || grep -q '^chainfs: stopped' "$T/trace" || { echo "no line says why"; return 1; }
	umount -l "$T/mnt" 2> /dev/null
	disk_off disk || return 1
	disk_on disk
	now=$(held "$store") && holds_all "$have" "$now" || return 1
	"$CHAINFS" mount "$store" "$T/mnt" || return 1
	(cd / && sha256sum --quiet -c "$T/sums") || { echo "other bytes after the restart"; return 1; }
	umount "$T/mnt" && eventually 20 is_unheld "$store" || return 1
	import_into "$store" > /dev/null 2>&1 && digest_is_wanted "$store" || return 1
	disk_off disk
}

cuts() {
	local n
	for ((n = 0; n < CUTS && SECONDS - STARTED < BOUND; n++)); do
		one_cut || { echo "cut $((n + 1))"; return 1; }
	done
}

errors_at_random() {
	local n store=$T/failing what code have now tries
	local kinds=(write fsync open rename all all)
	${CC:-cc} -O1 -shared -fPIC -o "$T/fail.so" "$HERE/fail.c" -ldl || return 1
	for ((n = 0; n < TRIALS && SECONDS - STARTED < BOUND; n++)); do
		rm -rf "$store"
		for tries in 1 2 3; do
			draw ${#kinds[@]}
			what=${kinds[drawn]}
			draw 300
			timeout 60 env FAIL_BELOW="$store" FAIL_CALLS="$what" \
				FAIL_ONE_IN=$((drawn + 5)) FAIL_SEED=$RANDOM \
				LD_PRELOAD="$T/fail.so" "$CHAINFS" import "$store" "$ARCHIVE" --hyper on --quiet \
				--set import.commit=5ms,log.level=debug > "$T/out" 2> "$T/trace"
			code=$?
			ended_with $code
			[[ " 0 2 3 6 74 " == *" $code "* ]] ||
				{ echo "$what: exit status $code"; tail -n 5 "$T/trace"; return 1; }
			[ $code = 0 ] || grep -q '^chainfs' "$T/trace" ||
				{ echo "$what: $code without a sentence"; return 1; }
			have=$(acknowledged "$T/trace")
			[ -e "$store/chainfs-store" ] ||
				{ [ -z "$have" ] && continue; echo "the store is gone"; return 1; }
			now=$(held "$store") ||
				{ echo "$what: it does not open"; "$CHAINFS" status "$store"; return 1; }
			holds_all "$have" "$now" || { echo "$what"; return 1; }
		done
		import_into "$store" > "$T/out" 2>&1 || { cat "$T/out"; return 1; }
		digest_is_wanted "$store" || { echo "$what"; return 1; }
	done
}

import_into "$whole" > /dev/null 2>&1 || exit 1
wanted=$(dump_digest "$whole") || exit 1
tell "what aborts says one line, ends with 74, and has everything when it is started again" aborts
tell "$CUTS times a disk goes away below readers and an import: no wrong byte, nothing lost" cuts
tell "$TRIALS stores whose writes and syncs fail lose nothing acknowledged" errors_at_random
echo "# $reads reads were right, $errors answered with an error;" \
	"exit codes:$(for code in "${!codes[@]}"; do echo -n " $code: ${codes[$code]} times;"; done)" \
	"$((SECONDS - STARTED)) s"
