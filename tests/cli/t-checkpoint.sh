#!/bin/bash
# Checkpoints: the same bytes from every store of a chain; what verify says of whole and of damaged
# ones.
. "$(dirname "$0")/../support/lib.bash"

import() { # STORE ARCHIVE [OPTION…]
	"$CHAINFS" import "$@" --quiet > "$T/import.out" 2>&1 || { cat "$T/import.out"; return 1; }
}
checkpoint() { # STORE FOLDER HEIGHT: prints its path
	"$CHAINFS" checkpoint "$1" "$2" --height "$3"
}
verify() {
	"$CHAINFS" verify "$@"
}
sums() { # FOLDER: as if who changed it had changed SHA256SUMS too
	(cd "$1" && find blocks info legacy retained rules -type f 2> /dev/null | sort | xargs sha256sum > SHA256SUMS)
}
flip() { # FILE OFFSET: one bit
	local byte
	byte=$(od -An -tu1 -j "$2" -N1 "$1") || return 1
	printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
middle() {
	echo $(($(stat -c %s "$1") / 2))
}
fresh() { # a copy of the whole checkpoint to damage
	rm -rf "$T/bad"
	cp -r "$WHOLE" "$T/bad"
}
level() { # NAME: its verdict in what verify said last
	sed -n "s/^$1  *\([a-z]*\).*/\1/p" "$T/said"
}
verify_bad() { # leaves what it says in $T/said; the exit code is verify's
	verify "$T/bad" "$@" > "$T/said" 2>&1
}

# ---- the same bytes, whatever arrived when ----

import "$T/a" "$VECTORS/devnet-a" --hyper on || exit 1
import "$T/b" "$VECTORS/devnet-a-node2" --hyper on --range 2:1-150 || exit 1
for range in 1:40-90 0:1-200 2:151-280 1:1-39 1:91-280; do
	import "$T/b" "$VECTORS/devnet-a-node2" --range $range || exit 1
done
import "$T/b" "$VECTORS/devnet-a-node2" || exit 1
import "$T/off" "$VECTORS/devnet-a" || exit 1

# same_state A B: all but what is a node's own
same_state() {
	diff -r -x evidence -x verdict "$1" "$2"
}
heights="7 60 123"
[ "$(rounds 3)" = 3 ] || heights=
for height in 1 $heights 200 273; do
	a=$(checkpoint "$T/a" "$T/ca" $height) && b=$(checkpoint "$T/b" "$T/cb" $height) &&
		off=$(checkpoint "$T/off" "$T/coff" $height) || exit 1
	same "height $height has one name" "${a##*/}" "${b##*/}"
	check "height $height: another validator's blocks, in another order, give the same bytes" same_state "$a" "$b"
	check "height $height: what legacy has does not depend on hyper" diff -r -x retained -x hyper.pb \
		-x evidence -x verdict -x info -x SHA256SUMS "$a" "$off"
	check "height $height: nothing of hyper is there when it is off" \
		test -z "$(find "$off" -name 'hyper*' -o -name 'retained*')"
	check "height $height: sha256sum knows it" sh -c "cd '$a' && sha256sum --quiet -c SHA256SUMS"
	for one in "$a" "$b" "$off"; do
		check "height $height: ${one#"$T/"} verifies" verify "$one"
	done
done
WHOLE=$a
check "certificates are a node's own" sh -c "! diff -r '$a/evidence' '$b/evidence'"
same "the newest height is the one without --height" "$("$CHAINFS" checkpoint "$T/a" "$T/ca")" "$WHOLE"

verify "$WHOLE" > "$T/said"
same "a line a level" "$(awk '{ print $1, $2 }' "$T/said" | tr '\n' ,)" \
	"bytes ok,blocks ok,commits ok,records ok,legacy ok,hyper ok,"
check "it says that the validators came with it" grep -q "^commits.*vouches for itself" "$T/said"
verify "$WHOLE" --config "$VECTORS/devnet-a/network.json" > "$T/said"
check "and not when they are given" sh -c "grep '^commits *ok' '$T/said' | grep -qv vouches"
check "JSON says the same" \
	sh -c "'$CHAINFS' verify '$WHOLE' --json |
		jq -e '.holds and (.faults == []) and .levels.legacy.verdict == \"ok\"'"
same "as many records as the store" "$("$CHAINFS" verify "$WHOLE" --json | jq .records)" \
	"$("$CHAINFS" checkpoint "$T/a" "$T/again" --json | jq .records)"
check "a store is still verified as one" says "blocks checked" "$CHAINFS" verify "$T/a"
check "validators of another network do not do" exits 4 verify "$WHOLE" --config "$VECTORS/devnet-c/network.json"
check "--network without a preset is a mistake" exits 1 verify "$WHOLE" --network nobody
check "--config of a store is a mistake" exits 1 verify "$T/a" --config "$VECTORS/devnet-a/network.json"

# ---- making them ----

check "a height that is not replayed exits with 3" exits 3 checkpoint "$T/a" "$T/ca" 9999
check "height 0 has no state" exits 3 checkpoint "$T/a" "$T/ca" 0
check "a height that is no number is a mistake" exits 1 checkpoint "$T/a" "$T/ca" x
check "nothing half made is left" test -z "$(find "$T/ca" -name '*.part')"
before=$(find "$WHOLE" -type f -printf '%p %i %T@\n' | sort)
checkpoint "$T/a" "$T/ca" 273 > /dev/null
same "one that is complete is left alone" "$(find "$WHOLE" -type f -printf '%p %i %T@\n' | sort)" "$before"
mkdir -p "$T/cc/${WHOLE##*/}.part/legacy/1" && echo x > "$T/cc/${WHOLE##*/}.part/legacy/1/00.pb"
check "what a crash left behind is taken away" same_state "$(checkpoint "$T/a" "$T/cc" 273)" "$WHOLE"
check "of it nothing remains" test -z "$(find "$T/cc" -name '*.part')"

if [ "$(id -u)" = 0 ] && mkdir "$T/small" && mount -t tmpfs -o size=256k tmpfs "$T/small" 2> /dev/null; then
	check "a full disk exits with 6" exits 6 checkpoint "$T/a" "$T/small" 273
	same "and nothing half made is left on it" "$(ls -A "$T/small")" ""
	umount "$T/small"
fi

# ---- a byte of each kind of file ----

some() { # FOLDER: the largest file in it
	(cd "$WHOLE" && find "$1" -type f -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
}
kinds="info blocks/0.pb blocks/1.pb blocks/2.pb $(some legacy/1) $(some legacy/0) $(some retained/1)
	rules/1/both.pb rules/2/hyper.pb"
for file in $kinds; do
	fresh
	flip "$T/bad/$file" "$(middle "$T/bad/$file")"
	check "sha256sum names $file" says "^$file: FAILED" sh -c "cd '$T/bad' && sha256sum -c SHA256SUMS"
	verify_bad
	same "a flipped byte of $file is a fault" $? 4
	check "verify names $file" grep -q "^$file	bytes	" "$T/said"
	check "and so does its JSON" \
		sh -c "'$CHAINFS' verify '$T/bad' --json | jq -e '[.faults[].file] | index(\"$file\")'"
done
fresh
flip "$T/bad/evidence/commits-0.pb" "$(middle "$T/bad/evidence/commits-0.pb")"
verify_bad
same "a flipped byte of a certificate is a fault" $? 4
check "which is named" grep -q "^evidence/commits-0.pb	commits	" "$T/said"
fresh
for file in info legacy/1/9d.pb retained/1/9d.pb; do
	flip "$T/bad/$file" 20
done
verify_bad
same "every damaged file is named" "$(grep -c '	bytes	' "$T/said")" 3
check "the level says how many" grep -q "^bytes  *failed  3 files" "$T/said"

# ---- and the sums made to fit ----

# told KIND LEVEL…: is verify's exit code 4, with one of the levels failed, and bytes in order?
told() {
	local what=$1 code
	shift
	sums "$T/bad"
	verify_bad
	code=$?
	for one in "$@"; do
		[ "$(level "$one")" = failed ] && [ $code = 4 ] && [ "$(level bytes)" = ok ] &&
			{ ok "$what fails $one"; return; }
	done
	not_ok "$what fails $*"
	sed 's/^/# /' "$T/said"
}
for root in legacy_root hyper_root; do
	fresh
	awk -v root=$root '$1 == root && !done { $2 = ($2 ~ /^0/ ? "1" : "0") substr($2, 2); done = 1 } { print }' \
		"$WHOLE/info" > "$T/bad/info"
	told "another $root in info" blocks hyper
done
for shard in 0 1 2; do
	fresh
	flip "$T/bad/blocks/$shard.pb" 12
	told "another header of shard $shard" blocks
done
fresh
cp "$(dirname "$WHOLE")"/0000000200-*/blocks/1.pb "$T/bad/blocks/1.pb"
told "an older block of shard 1" blocks
same "the root that it would sign is not claimed" "$(level legacy)" pending
fresh
rm -r "$T/bad/legacy/2"
told "a shard without its records" legacy
fresh
rm "$T/bad/$(some legacy/1)"
told "a pack that is gone" legacy
fresh
mv "$T/bad/legacy/1/9d.pb" "$T/bad/legacy/1/9c.pb"
told "a pack of another name" records
fresh
cp "$T/bad/legacy/1/9d.pb" "$T/bad/retained/1/9d.pb"
told "records twice, in both packs" hyper
same "of which legacy's root is not touched" "$(level legacy)" ok
fresh
rm "$T/bad/$(some retained/1)"
told "retained records that are gone" hyper
same "and legacy's root still stands" "$(level legacy)" ok
fresh
head -c -1 "$WHOLE/rules/1/both.pb" > "$T/bad/rules/1/both.pb"
told "rules that do not parse" records

# A pack of messages: no bit of it can be changed. Positions all over it.
pack=$(some legacy/1)
size=$(stat -c %s "$WHOLE/$pack")
missed=0 steps=$(rounds 36)
for step in $(seq 0 "$steps"); do
	fresh
	at=$((step * (size - 1) / steps))
	flip "$T/bad/$pack" $at
	sums "$T/bad"
	verify_bad && { missed=$((missed + 1)); echo "# $pack at $at"; }
done
# Events of other chains are signed by nobody, and where a record stood is said by the store alone.
check "of $((steps + 1)) flips of a pack of records almost none passes, and info says which may" \
	test $missed -le $((steps / 9))
check "info says what nothing covers" \
	grep -q "^covered by nothing that is signed: which records retained/ has, rules/" \
	"$WHOLE/info"
fresh
flip "$T/bad/rules/1/both.pb" "$(($(stat -c %s "$WHOLE/rules/1/both.pb") - 1))"
sums "$T/bad"
check "a value of the rules is covered by nothing, as info says" verify "$T/bad"

# ---- what is there and should not be, and the other way round ----

fresh
rm "$T/bad/$pack"
verify_bad
check "a file that is gone is named" grep -q "^$pack	bytes	is not there" "$T/said"
fresh
touch "$T/bad/legacy/1/zz.pb" "$T/bad/more" && ln -s info "$T/bad/link" && mkfifo "$T/bad/pipe"
verify_bad
same "files that are none of a checkpoint's are named" "$(grep -c 'no file of a checkpoint\|no plain file' "$T/said")" 5
fresh
cp "$T/bad/legacy/1/9d.pb" "$T/bad/legacy/1/00.pb"
verify_bad
check "a file that has no sum is named" grep -q "^legacy/1/00.pb	bytes	SHA256SUMS does not name it" "$T/said"
fresh
rm "$T/bad/SHA256SUMS"
verify_bad
same "without SHA256SUMS it is not complete" "$?:$(level bytes):$(level legacy)" 4:failed:ok
fresh
rm "$T/bad/info"
verify_bad
same "without info nothing can be said of the rest" "$?:$(level bytes):$(level legacy)" 4:failed:pending
fresh
sed -i 's/^format 1$/format 2/' "$T/bad/info"
sums "$T/bad"
check "another format is named" says "format 2" verify "$T/bad"
fresh
rm -r "$T/bad/evidence"
verify_bad
same "without evidence nobody says who signs" "$?:$(level blocks):$(level commits)" 4:pending:failed
verify_bad --config "$VECTORS/devnet-a/network.json"
same "and with validators there is still no certificate" "$?:$(level blocks):$(level commits)" 4:ok:absent
fresh
rm "$T/bad"/evidence/commits-[12].pb
verify_bad
same "the main block's certificate covers the others" "$?:$(level commits)" 0:ok
fresh
rm "$T/bad/verdict"
check "the verdict is a node's own" verify "$T/bad"
check "a folder that is none of both is no store" exits 3 verify "$T/none"

# ---- folders that somebody else made ----

for file in info evidence/network.json; do
	fresh
	rm "$T/bad/$file"
	mkfifo "$T/bad/$file"
	check "a fifo as $file holds no verify" exits 4 timeout -s KILL 20 "$CHAINFS" verify "$T/bad"
	check "and no restore" exits 4 timeout -s KILL 20 "$CHAINFS" restore "$T/made" "$T/bad" --network x --quiet
	check "nothing is made of it" test ! -e "$T/made"
done
fresh
truncate -s 500G "$T/bad/info"
check "an info with a hole of 500 GB is not read" exits 4 timeout -s KILL 20 "$CHAINFS" verify "$T/bad"
check "a store may be named with a slash at its end" \
	"$CHAINFS" restore "$T/slash/" "$WHOLE" --network x --quiet
check "and is there" test -d "$T/slash/networks/x"
