# lib.bash: what the scripts of tests/ share. Source it; CHAINFS names the program.
#
# Gives a temporary folder $T, removed at the end with every mount below it and every daemon behind
# one; "ok"/"not ok" lines, and the exit code they come to. What a sanitizer says of a process is a
# failure, also when nobody saw its standard error.

set -u
export LC_ALL=C
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VECTORS=${VECTORS:-$TESTS/vectors}

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

# exits STATUS COMMAND…: does the command end with that status?
exits() {
	local want=$1 got
	shift
	"$@"
	got=$?
	[ "$got" = "$want" ] || { echo "exit status $got, not $want: $*"; return 1; }
}

# says WORDS COMMAND…: do they stand in what the command prints?
says() {
	local words=$1 said
	shift
	said=$("$@" 2>&1)
	echo "$said" | grep -q -- "$words" || { echo "$said"; return 1; }
}

# field KEY: its value in the JSON on standard input
field() {
	sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1
}

rounds() { # USUAL: as many, times TEST_ROUNDS percent, but one at least
	local n=$(($1 * ${TEST_ROUNDS:-100} / 100))
	echo $((n > 0 ? n : 1))
}

# tree_digest FOLDER: every file with its content, as one digest; links by their target
tree_digest() {
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum &&
		find . -type l -printf '%p -> %l\n' | sort) | sha256sum | cut -c1-64
}

is_daemon() {
	[ "$(readlink "/proc/$1/exe" 2> /dev/null)" = "$(readlink -f "$CHAINFS")" ]
}

is_gone() { # a process; nobody may be there to reap it
	[ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2> /dev/null
}

# ---- the ground ----

[ -n "${CHAINFS:-}" ] && [ -x "$CHAINFS" ] || skip "CHAINFS does not name the program"

T=$(mktemp -d "${TMPDIR:-/tmp}/chainfs-test.XXXXXX") || exit 1
# libuv closes descriptors where ThreadSanitizer does not see it, and then takes their next use for
# a race.
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
