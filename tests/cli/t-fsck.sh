#!/bin/bash
# fsck: what it says of stores that are whole, in whatever order they were filled, and that no
# flipped byte of a database goes unseen where it changes anything.
. "$(dirname "$0")/../support/lib.bash"

import() { "$CHAINFS" import "$@" --quiet >/dev/null 2>&1; }
fsck() { "$CHAINFS" fsck "$@" 2>/dev/null; }
a=$VECTORS/devnet-a
clean() # STORE
{
	fsck "$1" >"$T/out" || { cat "$T/out"; return 1; }
	[ "$(wc -l <"$T/out")" = "$(grep -c ': 0 damaged, 0 missing, 0 contradictions, 0 orphans' "$T/out")" ] ||
		{ cat "$T/out"; return 1; }
}

import "$T/a" "$a" --hyper on
check "a whole store is clean" clean "$T/a"
import "$T/off" "$a"
check "without hyper as well" clean "$T/off"
disorder()
{
	for range in 0:200-273 2:1-100 1:150-280 0:1-50; do
		import "$T/d" "$a" --range "$range" --hyper on || return 1
		clean "$T/d" || return 1
	done
	import "$T/d" "$a" && clean "$T/d"
}
check "and with gaps, while blocks wait beyond them" disorder
based()
{
	import "$T/b" "$a" --range 1-120 && import "$T/b" "$a" --range 121-200 --hyper on &&
		import "$T/b" "$a" --range 201-230 --hyper off && import "$T/b" "$a" --hyper on && clean "$T/b"
}
check "and where hyper was switched on, off and on again" based
import "$T/two" "$a" && import "$T/two" "$VECTORS/devnet-c" --network other --hyper on
check "every network is walked" says "other: 930 blocks" "$CHAINFS" fsck "$T/two"
check "or the one that is named" exits 0 sh -c "'$CHAINFS' fsck '$T/two' --network other | wc -l | grep -qx 1"
check "JSON ends with the counts" \
	sh -c "'$CHAINFS' fsck '$T/a' --json | tail -n 1 | jq -e '.blocks == 833 and .damaged == 0'"
check "repair of a whole store mends nothing" says "; 0 repaired" "$CHAINFS" fsck "$T/a" --repair

touch "$T/a/networks/devnet/segments/stray"
check "a file of nobody is an orphan, which is no failure" exits 0 \
	sh -c "'$CHAINFS' fsck '$T/a' | grep -q '^orphan	devnet	segment'"
rm "$T/a/networks/devnet/segments/stray"

mkdir "$T/a/networks/devnet/checkpoints"
"$CHAINFS" checkpoint "$T/a" "$T/a/networks/devnet/checkpoints" >/dev/null || exit 1
check "checkpoints are checked" says "1 checkpoints checked: 0 damaged" "$CHAINFS" fsck "$T/a"
check "one that nobody sealed is told, which is no failure" exits 0 \
	sh -c "'$CHAINFS' fsck '$T/a' >'$T/out'"
check "with what to do" \
	grep -q '^unsealed	devnet	checkpoint	0	0000000273	no sums lie beside it.*fsck --repair' "$T/out"
check "and counted" grep -q '; 1 checkpoints without sums' "$T/out"
mkdir -p "$T/a/networks/devnet/checkpoints/.mend/half"
"$CHAINFS" fsck "$T/a" --repair --quiet >"$T/out"
check "what a repair left that was killed goes with the next" \
	test ! -e "$T/a/networks/devnet/checkpoints/.mend"
check "the checkpoint has sums by then" \
	sh -c "'$CHAINFS' fsck '$T/a' --json | tail -n 1 | jq -e '.checkpoints == 1 and .unsealed == 0'"
verdict=$(ls "$T"/a/networks/devnet/checkpoints/*/verdict)
cp -p "$verdict" "$T/verdict"
printf x >>"$verdict"
check "which cover what SHA256SUMS does not" exits 4 sh -c "'$CHAINFS' fsck '$T/a' >'$T/out'"
cp -p "$T/verdict" "$verdict"
printf x >>"$(ls "$T"/a/networks/devnet/checkpoints/*/info)"
check "and a changed file of one is named" exits 4 sh -c "'$CHAINFS' fsck '$T/a' >'$T/out'"
check "with its name" grep -q '^damaged	devnet	checkpoint	0	0000000273	info is not' "$T/out"
rm -r "$T/a/networks/devnet/checkpoints"
touch "$T/a/networks/devnet/checkpoints"
check "where they cannot be looked at, that is said" exits 4 sh -c "'$CHAINFS' fsck '$T/a' >'$T/out'"
check "with why" grep -q '^damaged	devnet	checkpoint	0	-	their folder: Not a directory' "$T/out"
check "and a repair makes nothing anew for it" sh -c "! '$CHAINFS' fsck '$T/a' --repair | grep 'made anew'"
rm "$T/a/networks/devnet/checkpoints"

# A pin's file: what is whole of it mends it; with nothing whole fsck says what to do.
p=$T/a/networks/devnet/pins
pinned=$("$CHAINFS" pin "$T/a" first --height 200 --quiet) || exit 1
cp -p "$p/first" "$T/first"
check "a pin is clean" clean "$T/a"
scratch() # OFFSET…: of the pin's file
{
	local at
	for at; do printf x | dd of="$p/first" bs=1 seek="$at" conv=notrunc status=none; done
}
scratch 15
check "a damaged half of a pin is named" exits 4 sh -c "'$CHAINFS' fsck '$T/a' >'$T/out'"
check "with its height, and why" \
	grep -q '^damaged	devnet	pin	0	0000000200	first: its first half fails its sum, the other is whole; ' "$T/out"
check "a repair writes it anew" says 'pin first: its file is written anew' "$CHAINFS" fsck "$T/a" --repair
check "byte for byte" cmp "$p/first" "$T/first"
check "and clean it is" clean "$T/a"
scratch 15 4111
check "with neither half whole fsck says what to do" \
	says 'first: neither half tells a height; .*pin its height under another name, then unpin this one' "$CHAINFS" fsck "$T/a"
check "a repair does not guess" sh -c "'$CHAINFS' fsck '$T/a' --repair | grep -q '; 0 repaired'"
"$CHAINFS" pin "$T/a" second --height 200 --quiet >"$T/out" 2>/dev/null
check "what it says is done: another pin of that height" test "$(cat "$T/out")" = "$pinned"
"$CHAINFS" unpin "$T/a" first 2>/dev/null
check "and this one goes" test ! -e "$p/first"
check "the checkpoint stays" test -e "$T/a/networks/devnet/checkpoints/$pinned/SHA256SUMS"
check "all is clean again" clean "$T/a"
"$CHAINFS" unpin "$T/a" second
rm -rf "$T/a/networks/devnet/checkpoints" "$p"

# One byte of one file of the database. Whoever still calls the store whole has to serve it whole.
served() # STORE: what status says of it but where it lies and how large its files are
{
	"$CHAINFS" status "$1" --json 2>/dev/null | grep -v '^ *"store":\|^ *"size":'
}
served "$T/a" >"$T/status"
flip() # FILE SEED
{
	python3 - "$1" "$2" <<'P'
import os, random, sys
path, seed = sys.argv[1], int(sys.argv[2])
r = random.Random(seed)
with open(path, 'r+b') as f:
	at = r.randrange(os.path.getsize(path))
	f.seek(at)
	byte = f.read(1)[0]
	f.seek(at)
	f.write(bytes([byte ^ 1 << r.randrange(8)]))
P
}
flips()
{
	local file code seed=1 every=$((100 / $(rounds 100)))
	for file in "$T"/a/networks/devnet/db/*.sst "$T"/a/networks/devnet/db/*.sst \
		"$T"/a/networks/devnet/db/MANIFEST-*; do
		seed=$((seed + 1))
		[ $((seed % every)) = 0 ] || [ $seed = 2 ] || continue # one at least
		rm -rf "$T/x" && cp -r "$T/a" "$T/x"
		flip "$T/x/${file#"$T/a/"}" $seed
		fsck "$T/x" >"$T/out"
		code=$?
		[ $code -lt 64 ] || { echo "exit status $code of ${file##*/}, seed $seed"; return 1; }
		echo $code >>"$T/codes"
		[ $code = 0 ] || continue
		"$CHAINFS" verify "$T/x" >/dev/null 2>&1 && served "$T/x" | cmp -s - "$T/status" ||
			{ echo "fsck called ${file##*/} whole, seed $seed"; return 1; }
	done
}
check "no flipped byte of a database goes unseen" flips
tried=$(wc -l <"$T/codes") found=$(grep -vc '^0$' "$T/codes")
check "and most are found" test "$found" -ge $((tried / 2))
echo "# $found of $tried flips found"
exit $((tests_failed > 0))
