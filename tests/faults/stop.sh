#!/bin/bash
# What neither works nor ends, and who comes second: tests/faults/stop.sh [SEED=1] [READERS=8]
#
# stop    the daemon is stopped (SIGSTOP) below readers: they can be killed, whoever asks over the socket can,
#         too, and after SIGCONT those that waited get the right bytes
# second  another import, mount or verb of a store that is held, by whatever path: one sentence, exit code
#         5, and nothing is harmed; also of one whose lock file was removed, and of a store that was renamed
. "$(dirname "$0")/lib.bash" "$@"

READERS=${READERS:-8}
echo "# SEED=$SEED READERS=$READERS"
store=$T/store
mkdir -p "$T/mnt" "$T/mnt2"

import_into() { "$CHAINFS" import "$1" "$ARCHIVE" --hyper on --quiet "${@:2}"; }
state_of() { sed -n 's/^State:[^A-Z]*\([A-Z]\).*/\1/p' "/proc/$1/status" 2> /dev/null; }
is_stopped() { [ "$(state_of "$1")" = T ]; }
is_waiting() { [ -d "/proc/$1" ] && [ ! -s "$2" ]; }

stopped() {
	local daemon code
	"$CHAINFS" mount "$store" "$T/mnt" || return 1
	daemon=$(daemon_of "$store")
	below_stopped "$daemon"
	code=$?
	kill -CONT "$daemon"
	umount -l "$T/mnt" && eventually 20 is_gone "$daemon" && return $code
}
below_stopped() { # DAEMON
	local daemon=$1 pids=() n left began
	find "$T"/mnt/*/legacy/blocks/ -name '*.json' -path '*/items/*' | sort > "$T/list"
	wc -l < "$T/list" | grep -qv '^0$' || { echo "nothing to read"; return 1; }
	kill -STOP "$daemon" && eventually 5 is_stopped "$daemon" || return 1
	for ((n = 0; n < READERS; n++)); do
		draw "$(wc -l < "$T/list")"
		sed -n "$((drawn + 1))p" "$T/list" > "$T/path.$n"
		: > "$T/got.$n"
		(exec sha256sum "$(cat "$T/path.$n")" > "$T/got.$n") &
		pids+=($!)
	done
	eventually 5 is_waiting "${pids[0]}" "$T/got.0" || { echo "a reader does not wait"; return 1; }
	# Half of them lose patience.
	for ((n = 0; n < READERS; n += 2)); do
		kill -9 "${pids[n]}"
		eventually 5 is_gone "${pids[n]}" || { echo "a reader cannot be killed"; return 1; }
	done
	# Who asks the daemon something waits, and can be ended.
	began=$SECONDS
	timeout -k 30 2 "$CHAINFS" status "$store" > "$T/asked" 2>&1
	[ $? = 124 ] && grep -q 'does not answer' "$T/asked" && [ $((SECONDS - began)) -lt 20 ] ||
		{ echo "status of a stopped daemon:"; cat "$T/asked"; return 1; }
	kill -CONT "$daemon"
	for ((n = 1; n < READERS; n += 2)); do
		wait "${pids[n]}" || { echo "a reader failed"; return 1; }
		[ "$(cut -d' ' -f1 "$T/got.$n")" = "$(sha256sum "$(cat "$T/path.$n")" | cut -d' ' -f1)" ] || return 1
		left=$((${left:-0} + 1))
	done
	[ "${left:-0}" -gt 0 ] && "$CHAINFS" status "$store" > /dev/null
}

# refused COMMAND…: with code 5 and a sentence that names the holder
refused() {
	timeout 60 "$@" > "$T/out" 2>&1
	local code=$?
	[ $code = 5 ] && grep -q 'held by: import, pid\|a process holds\|held by: mount' "$T/out" && return
	echo "exit status $code: $*"
	cat "$T/out"
	return 1
}

# An import that is stopped in its middle holds the store; everybody else is told so.
second_of_import() {
	local pid here
	rm -rf "$T/busy"
	: > "$T/trace"
	(exec "$CHAINFS" import "$T/busy" "$ARCHIVE" --hyper on --quiet --set import.commit=5ms,log.level=debug \
		> "$T/first" 2> "$T/trace") &
	pid=$!
	eventually 20 grep -q 'held=[1-9]' "$T/trace"
	kill -STOP $pid && eventually 5 is_stopped $pid || return 1
	ln -sfn "$T/busy" "$T/linked"
	mkdir -p "$T/sub"
	for here in "$T/busy" "$T/linked" "$T/sub/../busy" "$T/busy/"; do
		refused "$CHAINFS" import "$here" "$ARCHIVE" && refused "$CHAINFS" fsck "$here" --repair &&
			refused "$CHAINFS" status "$here" && refused "$CHAINFS" pin "$here" a || return 1
	done
	if can_mount; then
		refused "$CHAINFS" mount "$T/busy" "$T/mnt2" || return 1
	fi
	# A folder that is renamed takes its lock along.
	mv "$T/busy" "$T/moved"
	refused "$CHAINFS" import "$T/moved" "$ARCHIVE" || return 1
	mv "$T/moved" "$T/busy"
	kill -CONT $pid
	wait $pid || { cat "$T/trace"; return 1; }
	is_whole "$T/busy"
}

is_whole() {
	local digest
	digest=$(dump_digest "$1") && fsck_is_clean "$1" || { echo "$digest"; return 1; }
	[ "$digest" = "$wanted" ] || { echo "the store differs from the undisturbed one"; return 1; }
}

# Somebody removes the lock file below its holder: whoever comes then finds the database's own
without_lock_file() {
	local pid code
	rm -rf "$T/busy"
	: > "$T/trace"
	(exec "$CHAINFS" import "$T/busy" "$ARCHIVE" --hyper on --quiet --set import.commit=5ms,log.level=debug \
		> "$T/first" 2> "$T/trace") &
	pid=$!
	eventually 20 grep -q 'held=[1-9]' "$T/trace"
	kill -STOP $pid && eventually 5 is_stopped $pid || return 1
	rm "$T/busy/lock"
	timeout 60 "$CHAINFS" import "$T/busy" "$ARCHIVE" > "$T/out" 2>&1
	code=$?
	[ $code = 5 ] && grep -q 'another process has it open' "$T/out" ||
		{ echo "exit status $code"; cat "$T/out"; kill -CONT $pid; wait $pid; return 1; }
	kill -CONT $pid
	wait $pid || { cat "$T/trace"; return 1; }
	is_whole "$T/busy"
}

# Copied while it was written: its own store, with a lock of its own, which opens or is refused, and
# harms the first in no way
copied() {
	local pid
	rm -rf "$T/busy" "$T/copy"
	: > "$T/trace"
	(exec "$CHAINFS" import "$T/busy" "$ARCHIVE" --hyper on --quiet --set import.commit=5ms,log.level=debug \
		> "$T/first" 2> "$T/trace") &
	pid=$!
	eventually 20 grep -q 'held=[1-9]' "$T/trace"
	kill -STOP $pid && eventually 5 is_stopped $pid || return 1
	cp -a "$T/busy" "$T/copy"
	import_into "$T/copy" > "$T/out" 2>&1 || { cat "$T/out"; kill -CONT $pid; return 1; }
	kill -CONT $pid
	wait $pid || return 1
	is_whole "$T/busy" && is_whole "$T/copy"
}

second_of_mount() {
	local daemon
	"$CHAINFS" mount "$store" "$T/mnt" || return 1
	daemon=$(daemon_of "$store")
	refused "$CHAINFS" mount "$store" "$T/mnt2" || return 1
	# The daemon runs the verbs itself; two imports at a time are one too many.
	"$CHAINFS" import "$store" "$ARCHIVE" > /dev/null 2>&1 || return 1
	"$CHAINFS" fsck "$store" > /dev/null 2>&1 || return 1
	umount "$T/mnt" && eventually 20 is_gone "$daemon" && is_whole "$store"
}

import_into "$store" > /dev/null 2>&1 || exit 1
wanted=$(dump_digest "$store") || exit 1
if can_mount; then
	tell "readers of a stopped daemon can be killed, and get their bytes when it goes on" stopped
	tell "a second mount of a store is refused, verbs go to the daemon" second_of_mount
fi
tell "who comes second to an import is refused, by whatever path, and harms nothing" second_of_import
tell "a lock file that was removed lets nobody else write" without_lock_file
tell "a copy of a store that is being written is a store of its own" copied
