# lib.bash: what the scripts of this folder share beyond tests/support/lib.bash. Source it with the
# script's own arguments, which are NAME=VALUE, as are the variables of the environment:
#
#     . "$(dirname "$0")/lib.bash"
#
# SEED    draws everything that is drawn (default 1; $TEST_SEED goes before it)
# BOUND   seconds after which a script stops drawing and says how far it came (default 540)
#
# Gives draw, stores of the recorded network, digests of all that a store holds, disks of a file
# system of their own whose power can be cut, and one line of numbers at the end.

for argument in "$@"; do
	case $argument in
	[A-Z]*=*) declare "${argument%%=*}=${argument#*=}" ;;
	*) echo "usage: ${0##*/} [SEED=N] [BOUND=SECONDS] [NAME=VALUE…]"; exit 1 ;;
	esac
done
SEED=${SEED:-${TEST_SEED:-1}}
BOUND=${BOUND:-540}
# Without one that was named: what make built.
: "${CHAINFS:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/chainfs}"
export CHAINFS

. "$(dirname "${BASH_SOURCE[0]}")/../support/lib.bash"
HERE=$TESTS/faults
ARCHIVE=${ARCHIVE:-$VECTORS/devnet-r}
RANDOM=$((SEED % 32768))
STARTED=$SECONDS

# draw BOUND: a number below it into $drawn; not in a subshell, which would draw the same again
draw() { drawn=$(((RANDOM * 32768 + RANDOM) % $1)); }

out_of_time() { [ $((SECONDS - STARTED)) -ge "$BOUND" ]; }

# pause MILLISECONDS
pause() {
	local ms
	printf -v ms '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
	sleep "$ms"
}

# tell SENTENCE COMMAND…: as check, but not in a subshell, so that the command can count
tell() {
	local sentence=$1
	shift
	if "$@" > "$T/said" 2>&1; then
		ok "$sentence"
	else
		not_ok "$sentence"
		head -n 40 "$T/said" | sed 's/^/# /'
	fi
}

# ---- what a store holds ----

# held STORE: "shard held replayed", a line each
held() {
	"$CHAINFS" status "$1" --json | awk -F'[:,]' '
		/"held"/ { held = $2 } /"replayed"/ { replayed = $2 }
		/"shard":/ { print $2 + 0, held + 0, replayed + 0 }'
}

# acknowledged FILE: the same, by the trace of an import with log.level=debug: the newest of each shard
acknowledged() {
	sed -n 's/.*acknowledged network=[^ ]* shard=\([0-9]*\) held=\([0-9]*\) replayed=\([0-9]*\)$/\1 \2 \3/p' \
		"$1" | awk '{ line[$1] = $0 } END { for (s in line) print line[s] }' | sort
}

# holds_all ACKNOWLEDGED HELD: is nothing less than what was acknowledged? Both as held prints them.
holds_all() {
	awk 'NR == FNR { held[$1] = $2; replayed[$1] = $3; next }
		held[$1] + 0 < $2 || replayed[$1] + 0 < $3 {
			print "shard " $1 ": acknowledged " $2 " " $3 ", there are " held[$1] + 0 " " replayed[$1] + 0
			bad = 1
		}
		END { exit bad }' <(echo "$2") <(echo "$1")
}

# dump_digest STORE: all that it holds and shows, as one digest, without a mount: roots and counts,
# every block with its certificate, and the state of both contexts, record by record
dump_digest() {
	local out
	out=$(mktemp -d "$T/dump.XXXXXX") || return 1
	"$CHAINFS" export "$1" "$out/archive" --quiet > "$out/said" 2>&1 &&
		"$CHAINFS" checkpoint "$1" "$out/state" >> "$out/said" 2>&1 &&
		"$CHAINFS" status "$1" --json 2>> "$out/said" |
		grep -vE '"(size|store|hits|misses)"' > "$out/status" || {
		cat "$out/said"
		rm -rf "$out"
		return 1
	}
	rm "$out/said"
	tree_digest "$out"
	rm -rf "$out"
}

# mount_digest STORE: the same through a mount, as a reader sees it
mount_digest() {
	local at=$T/digest-mnt digest
	mkdir -p "$at"
	"$CHAINFS" mount "$1" "$at" || return 1
	digest=$(for part in "$at"/*/legacy/state "$at"/*/hyper/state "$at"/*/hyper/blocks "$at"/*/gaps; do
		tree_digest "$part"
	done | sha256sum | cut -c1-64)
	umount "$at" || return 1
	eventually 20 is_unheld "$1" || return 1
	echo "$digest"
}

is_unheld() { ! "$CHAINFS" status "$1" --json 2>&1 | grep -q 'held by'; }

keeper_of() { sed -n 's/.*pid \([0-9][0-9]*\).*/\1/p' "$1/lock"; } # of a mounted store: the process that stays
daemon_of() { pgrep -P "$(keeper_of "$1")" | head -n 1; }             # and the one that serves

can_mount() { [ -c /dev/fuse ] && [ -w /dev/fuse ] && [ "$(id -u)" = 0 ]; }

# fsck_is_clean STORE
fsck_is_clean() { "$CHAINFS" fsck "$1" --quiet > "$T/fsck.out" 2>&1 || { cat "$T/fsck.out"; return 1; }; }

# ---- disks ----

# disk_make NAME FILESYSTEM MIB: a file system of its own at $T/NAME; 77 where that cannot be
disk_make() {
	local image=$T/$1.img at=$T/$1
	[ "$(id -u)" = 0 ] || skip "only root mounts a disk image"
	mountpoint -q "$at" && umount -l "$at" # of a test that failed
	mkdir -p "$at"
	if [ "$2" = tmpfs ]; then
		mount -t tmpfs -o "size=$3m" tmpfs "$at" || skip "no tmpfs can be mounted"
		return
	fi
	command -v "mkfs.$2" > /dev/null || skip "there is no mkfs.$2"
	truncate -s "$3M" "$image"
	case $2 in
	ext4) mkfs.ext4 -q -F -m 0 "$image" ;;
	*) "mkfs.$2" -q -f "$image" ;;
	esac > "$T/mkfs.out" 2>&1 || { cat "$T/mkfs.out"; skip "mkfs.$2 does not make $3 MiB"; }
	disk_on "$1"
}

disk_on() { mount -o loop "$T/$1.img" "$T/$1" || skip "no loop device can be mounted"; }

# disk_cut NAME: the power goes: what was not written to the disk never will be
disk_cut() {
	[ -x "$T/cut" ] || ${CC:-cc} -O1 -o "$T/cut" "$HERE/cut.c" || return 1
	"$T/cut" "$T/$1"
}

# disk_off NAME: takes it away, whatever state it is in
disk_off() {
	umount "$T/$1" 2> /dev/null || { eventually 10 umount "$T/$1"; }
}
