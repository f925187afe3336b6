# sh.sh: what every script of tests/ begins with. Sourced, in bash.
#
# CHAINFS is the program. A temporary folder $T is there and goes away at the end, with whatever is
# mounted below it. `check "sentence" command…` is one test: it passes when the command does.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
CHAINFS=${CHAINFS:-$PWD/build/chainfs}
VECTORS=$PWD/tests/vectors
T=$(mktemp -d "${TMPDIR:-/tmp}/chainfs-test.XXXXXX") || exit 1
TESTS=0
FAILS=0

unmount_below() # DIR: every mount below it, innermost first
{
	awk -v dir="$1/" '{ gsub(/\\040/, " ", $5); if (index($5 "/", dir) == 1) print $5 }' /proc/self/mountinfo |
		sort -r | while read -r point; do
			umount "$point" 2>/dev/null || fusermount3 -u "$point" 2>/dev/null || umount -l "$point" 2>/dev/null
		done
}

finish()
{
	unmount_below "$T"
	# Daemons let go of their stores a moment after their mounts went away.
	rm -rf "$T" 2>/dev/null || { sleep 1; rm -rf "$T"; }
}
trap finish EXIT
trap 'exit 130' INT TERM

check() # SENTENCE COMMAND...
{
	local sentence=$1 out
	shift
	TESTS=$((TESTS + 1))
	if out=$("$@" 2>&1); then
		echo "ok $TESTS - $sentence"
	else
		FAILS=$((FAILS + 1))
		echo "not ok $TESTS - $sentence"
		printf '%s\n' "$out" | head -n 40 | sed 's/^/# /'
	fi
}

done_testing()
{
	echo "1..$TESTS"
	[ "$FAILS" = 0 ]
	exit
}

# Runs a command and compares its exit status: `exits 5 chainfs …`
exits() # STATUS COMMAND...
{
	local want=$1 got
	shift
	"$@"
	got=$?
	[ "$got" = "$want" ] || { echo "exit status $got, not $want: $*"; return 1; }
}

field() # KEY: a number or word of the JSON line on standard input
{
	sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1
}

# Every file below a folder with its content, as one digest; links by their target.
tree_digest() # DIR
{
	(cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum &&
		find . -type l -printf '%p -> %l\n' | LC_ALL=C sort) | sha256sum | cut -c1-64
}

needs_mount() # leaves with 77 where nothing can be mounted
{
	if [ ! -c /dev/fuse ] || { [ ! -w /dev/fuse ] && ! command -v fusermount3 >/dev/null; }; then
		echo "skipped: no FUSE device that this user may open"
		exit 77
	fi
}
