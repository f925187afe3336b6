# lib.bash: what the scripts of this folder share. Source it; CHAINFS names the program.
#
# Gives a temporary folder $T, removed at the end with every mount below it; a store of the recorded
# network ($T/st, by import_vectors); "ok"/"not ok" lines, and the exit code they come to. What a
# sanitizer says of a daemon is a failure, also when nobody saw its standard error.

set -u
export LC_ALL=C
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VECTORS=${VECTORS:-$HERE/../vectors}
ARCHIVE=$VECTORS/devnet-a
NET=devnet

tests_run=0 tests_failed=0

skip() {
	echo "$*"
	exit 77
}

ok() {
	tests_run=$((tests_run + 1))
	echo "ok $tests_run - $*"
}

not_ok() {
	tests_run=$((tests_run + 1))
	tests_failed=$((tests_failed + 1))
	echo "not ok $tests_run - $*"
}

# check SENTENCE COMMAND…: what the command says is shown when it fails.
check() {
	local sentence=$1 said
	shift
	if said=$("$@" 2>&1); then
		ok "$sentence"
	else
		not_ok "$sentence"
		[ -z "$said" ] || echo "$said" | head -n 20 | sed 's/^/# /'
	fi
}

# same SENTENCE GOT WANTED
same() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1"
		echo "# got:    $(echo "$2" | head -n 5)"
		echo "# wanted: $(echo "$3" | head -n 5)"
	fi
}

# eventually SECONDS COMMAND…: until it succeeds.
eventually() {
	local tries=$(($1 * 50))
	shift
	while [ $tries -gt 0 ]; do
		"$@" > /dev/null 2>&1 && return 0
		sleep 0.02
		tries=$((tries - 1))
	done
	return 1
}

# ---- the ground ----

[ -n "${CHAINFS:-}" ] && [ -x "$CHAINFS" ] || skip "CHAINFS does not name the program"
[ -c /dev/fuse ] || skip "there is no /dev/fuse here"
[ -w /dev/fuse ] || skip "/dev/fuse may not be opened by this user"
[ "$(id -u)" = 0 ] || command -v fusermount3 > /dev/null || skip "neither root nor fusermount3"
[ -d "$ARCHIVE" ] || skip "the recorded network is not at $ARCHIVE"

T=$(mktemp -d "${TMPDIR:-/tmp}/chainfs-test.XXXXXX") || exit 1
# libuv closes descriptors where ThreadSanitizer does not see it, and then takes their next use for a race.
echo 'called_from_lib:libuv.so' > "$T/suppressions"
ASAN_OPTIONS=${ASAN_OPTIONS:-}:log_path=$T/sanitizer
TSAN_OPTIONS=${TSAN_OPTIONS:-}:log_path=$T/sanitizer:suppressions=$T/suppressions
UBSAN_OPTIONS=${UBSAN_OPTIONS:-}:log_path=$T/sanitizer
export ASAN_OPTIONS TSAN_OPTIONS UBSAN_OPTIONS

mounts_of_test() { # those that something below $T is mounted from or on, the newest first
	awk -v t="$T/" 'index($1, t) == 1 || index($2, t) == 1 { print $2 }' /proc/self/mounts | tac
}

detach() {
	if [ "$(id -u)" = 0 ]; then
		umount -l "$1"
	else
		fusermount3 -u -z "$1"
	fi
}

cleanup() {
	local code=$? pid at
	trap - EXIT INT TERM HUP
	for pid in $(jobs -p); do
		kill "$pid" 2> /dev/null
	done
	for at in "$T"/*/lock; do
		pid=$(sed -n 's/.*mount at .*, pid \([0-9][0-9]*\).*/\1/p' "$at" 2> /dev/null)
		[ -n "$pid" ] && is_daemon "$pid" && kill "$pid" && eventually 20 is_gone "$pid"
	done
	for at in $(mounts_of_test); do
		detach "$at" 2> /dev/null
	done
	if ls "$T"/sanitizer.* > /dev/null 2>&1; then
		not_ok "no sanitizer found anything"
		cat "$T"/sanitizer.* | head -n 120 | sed 's/^/# /'
	fi
	rm -rf "$T"
	[ "$code" != 0 ] || [ "$tests_failed" = 0 ] || code=1
	exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

probe() {
	[ -x "$T/probe" ] || ${CC:-cc} -O1 -o "$T/probe" "$HERE/probe.c" || exit 1
	"$T/probe" "$@"
}

# ---- stores and mounts ----

# import_vectors STORE [OPTION…]
import_vectors() {
	local store=$1
	shift
	"$CHAINFS" import "$store" "$ARCHIVE" --network $NET --quiet "$@" > "$T/import.out" 2>&1 && return
	cat "$T/import.out"
	return 1
}

# mount_store STORE FOLDER [OPTION…]: returns when it answers; the daemon is in the background.
mount_store() {
	local store=$1 at=$2
	shift 2
	mkdir -p "$at"
	"$CHAINFS" mount "$store" "$at" "$@"
}

daemon_of() { # of a mounted store: its process
	sed -n 's/.*pid \([0-9][0-9]*\).*/\1/p' "$1/lock"
}

is_daemon() {
	[ "$(readlink "/proc/$1/exe" 2> /dev/null)" = "$(readlink -f "$CHAINFS")" ]
}

is_gone() { # a process; nobody may be there to reap it
	[ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2> /dev/null
}

is_mounted() {
	awk -v at="$1" '$2 == at { found = 1 } END { exit !found }' /proc/self/mounts
}

is_not_mounted() {
	! is_mounted "$1"
}

unmount() {
	if [ "$(id -u)" = 0 ]; then
		umount "$1"
	else
		fusermount3 -u "$1"
	fi
}
