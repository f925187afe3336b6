# lib.bash: what the parts of the benchmark share: chains that are made once and kept, servers,
# rows.
#
# CHAINFS names the program, PROGRAMS the folder of tests/bench's own, WORK the folder that is kept
# between runs. Gives $T, removed at the end with every mount below it (tests/support/lib.bash), and
# $RAM, the same in memory.
. "$(dirname "${BASH_SOURCE[0]}")/../support/lib.bash"

ROUNDS=${ROUNDS:-3}
NET=bench
mkdir -p "$WORK" || exit 1
SAMPLES=$WORK/samples.tsv   # part op column round wall_ms client_ms server_ms units
FIGURES=$WORK/figures.tsv   # part name value unit
REASONS=$WORK/reasons.tsv   # part op column why: what could not be had

RAM= restore_switch= group=
at_end() {
	local code=$?
	[ -z "$RAM" ] || rm -rf "$RAM"
	[ -z "$group" ] || rmdir "$group"
	[ -z "$restore_switch" ] || echo N > "$restore_switch"
	(exit "$code")
	cleanup
}
trap at_end EXIT

say() {
	echo "# $*" >&2
}

fail() {
	echo "bench: $*" >&2
	exit 1
}

figure() { # PART NAME VALUE UNIT
	printf '%s\t%s\t%s\t%s\n' "$@" >> "$FIGURES"
}

absent() { # PART OP COLUMN WHY
	printf '%s\t%s\t%s\t%s\n' "$@" >> "$REASONS"
}

median() {
	sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# ---- what is kept ----

# Another program may make another chain, or store it in another way; so its digest names the
# folder, and what an older one left is taken away.
KEEP=$WORK/keep-$(sha256sum < "$CHAINFS" | cut -c1-16)
for old in "$WORK"/keep-*; do
	[ "$old" = "$KEEP" ] || rm -rf "$old"
done
mkdir -p "$KEEP"

# chain NAME OPTION…: an archive at $KEEP/NAME.archive
chain() {
	local name=$1 at
	at=$KEEP/$name.archive
	shift
	[ ! -e "$at.options" ] || [ "$(cat "$at.options")" = "$*" ] || rm -rf "$at" "$at.options" "$KEEP/$name".*
	[ -e "$at.options" ] && return
	say "making the chain $name: $*"
	rm -rf "$at"
	"$CHAINFS" forge "$at" "$@" --quiet || fail "the chain $name cannot be made"
	echo "$*" > "$at.options"
}

# store NAME: the same, imported into $KEEP/NAME.store, both contexts
store() {
	local at=$KEEP/$1.store
	[ -e "$at.done" ] && return
	say "importing the chain $1"
	rm -rf "$at"
	"$CHAINFS" import "$at" "$KEEP/$1.archive" --network $NET --hyper on --quiet > "$T/import.out" 2>&1 ||
		{ cat "$T/import.out" >&2; fail "the chain $1 cannot be imported"; }
	touch "$at.done"
}

# ---- what the kernel caches ----

# Names, inodes and pages are charged to the group of who asked for them first. So the caches of a
# client's mount can be emptied without those of the machine: a group of the first version, where it
# can be made.
make_group() {
	local at=/sys/fs/cgroup/memory/chainfs-bench.$$
	mkdir "$at" 2> /dev/null && [ -w "$at/memory.force_empty" ] || { rmdir "$at" 2> /dev/null; return 1; }
	group=$at
}

forget() {
	echo 0 > "$group/memory.force_empty"
}

# ---- mounts ----

M=$T/m
mkdir -p "$M"
servers= # the processes behind what is mounted

is_mounted() {
	awk -v at="$1" '$2 == at { found = 1 } END { exit !found }' /proc/self/mounts
}

processes_at() { # of our program, that have the mount point among their words
	local p
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2> /dev/null)" = "$CHAINFS" ] || continue
		tr '\0' '\n' < "$p/cmdline" 2> /dev/null | grep -qxF -- "$1" && echo "${p##*/}"
	done
}

memory() { # KiB, of the processes behind the mount
	local p
	for p in $servers; do
		cat "/proc/$p/status"
	done | awk '/^VmRSS/ { n += $2 } END { print n + 0 }'
}

mount_chainfs() { # STORE [OPTION…]
	local at=$1
	shift
	"$CHAINFS" mount "$at" "$M" "$@" > "$T/mount.out" 2>&1 || { cat "$T/mount.out" >&2; return 1; }
	find_servers
}
find_servers() {
	servers=$(processes_at "$M")
	[ -n "$servers" ] || fail "whose mount is that?"
}

serve() { # COMMAND…: in the background, until something is mounted
	"$@" 2>> "$T/servers.out" &
	servers=$!
	local tries=500
	until is_mounted "$M"; do
		kill -0 "$servers" 2> /dev/null && [ $((tries -= 1)) -gt 0 ] ||
			{ cat "$T/servers.out" >&2; return 1; }
		sleep 0.01
	done
}

unmount() {
	local tries=300 p
	is_mounted "$M" || return 0
	until if [ "$(id -u)" = 0 ]; then umount "$M"; else fusermount3 -u "$M"; fi 2> "$T/umount.out"; do
		[ $((tries -= 1)) -gt 0 ] || { cat "$T/umount.out" >&2; fail "$M cannot be unmounted"; }
		sleep 0.01
	done
	for p in $servers; do
		eventually 20 is_gone "$p" || fail "a server goes on without its mount"
	done
	# Not whatever else runs beside them.
	[ -z "$servers" ] || wait $servers 2> /dev/null
	servers=
}
