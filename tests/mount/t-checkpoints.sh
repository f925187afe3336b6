#!/bin/bash
# checkpoints/: built because of a pin, a folder of plain files in the tree, the same on two
# machines, kept until nobody wants it, built again after a kill.
. "$(dirname "$0")/lib.bash"

"$CHAINFS" demo "$T/demo" --no-mount --quiet > /dev/null || exit 1
mount_store "$T/demo/store" "$T/mnt" || exit 1
pins=$T/mnt/ctl/pins all=$T/mnt/demo/checkpoints

end_mount() { # STORE FOLDER
	local pid
	pid=$(daemon_of "$1")
	unmount "$2" && eventually 20 is_gone "$pid"
}
complete() { # NAME
	[ "$(cat "$pins/$1/state")" = complete ]
}
the_one_at() { # HEIGHT: its name
	basename "$(echo "$all"/"$(printf %010d "$1")"-*)"
}

same "without a pin there is nothing" "$(ls "$all")" ""
check "a pin is a folder that is made" timeout 10 mkdir "$pins/first"
check "its checkpoint is built" eventually 30 complete first
first=$(ls "$all")
same "and stands there at once" "$(echo "$first" | grep -c '^0000000298-[0-9a-f]\{8\}$')" 1
same "the pin leads to it" "$(readlink "$pins/first/checkpoint")" "$all/$first"
same "and tells its height" "$(cat "$pins/first/height")" 298
same "nothing says that it is being built" "$(ls "$all/$first" | tr '\n' ' ')" \
	"SHA256SUMS blocks evidence info legacy retained rules verdict "
sums() { (cd "$all/$first" && sha256sum -c --quiet SHA256SUMS); }
check "sha256sum -c agrees through the mount" sums
named() { # files outside of SHA256SUMS
	(cd "$all/$first" && find . -type f | sed 's,^\./,,' | sort) |
		grep -vxF -f <(cut -c67- "$all/$first/SHA256SUMS")
}
same "only what is this node's own stands outside of it" "$(named | tr '\n' ' ')" \
	"SHA256SUMS evidence/commits-0.pb evidence/commits-1.pb evidence/commits-2.pb evidence/network.json verdict "
same "every file has the time of the main block" \
	"$(find "$all/$first" -type f -printf '%TFT%TTZ\n' | cut -c1-19 | sort -u)" \
	"$(TZ=UTC stat -Lc %y "$T/mnt/demo/head/header" | tr ' ' T | cut -c1-19)"
check "what is shown is what lies on the disk" diff -r "$all/$first" "$T/demo/store/networks/demo/checkpoints/$first"
check "each file is as large as it says" sh -c "cd '$all/$first' && find . -type f -size +0 -printf '%s %p\n' |
	while read -r n p; do [ \"\$(wc -c < \"\$p\")\" = \"\$n\" ] || exit 1; done"
check "cp -r takes it along" cp -r "$all/$first" "$T/copied"
check "whole" diff -r "$all/$first" "$T/copied"
check "rsync copies it" rsync -a "$all/" "$T/synced/"
same "and finds nothing to do again" "$(rsync -ai "$all/" "$T/synced/")" ""
check "a part of a file is read from its place" bash -c \
	"dd if='$all/$first/SHA256SUMS' bs=7 skip=31 status=none | cmp - <(tail -c +218 '$T/copied/SHA256SUMS')"
head -c 100000 "$all/$first/rules/1/both.pb" | cmp - <(head -c 100000 "$T/copied/rules/1/both.pb") &&
	ok "and from its begin" || not_ok "and from its begin"
same "inode numbers stay" "$(stat -c %i "$all/$first/info")" "$(stat -c %i "$all/$first/info")"
same "another hash is another name" "$(ls "$all/0000000298-00000000" 2>&1 | grep -c 'No such file')" 1

# ---- names and refusals ----

check "a height behind the name" timeout 10 mkdir "$pins/early@100"
check "is listed without it" test -d "$pins/early"
same "early and first are all there are" "$(ls "$pins" | tr '\n' ' ')" "early first "
check "it is built" eventually 30 complete early
same "both stand there" "$(ls "$all" | cut -c1-10 | tr '\n' ' ')" "0000000100 0000000298 "
refused() { # WORDS COMMAND…
	local words=$1
	shift
	LC_ALL=C timeout 10 "$@" 2>&1 | grep -q "$words"
}
check "the same name twice is refused" refused 'File exists' mkdir "$pins/first"
check "with another height, too" refused 'File exists' mkdir "$pins/first@7"
check "and last_error says so" grep -q 'there is a pin first already' "$T/mnt/ctl/last_error"
check "a height that is not there yet" refused 'No data available' mkdir "$pins/far@999999"
check "a name that is none" refused 'Invalid argument' mkdir "$pins/.hidden"
check "a height that is none" refused 'Invalid argument' mkdir "$pins/name@x1"
check "one of retention's names" refused 'Invalid argument' mkdir "$pins/auto-1"
check "a network that is not there" refused 'Invalid argument' mkdir "$pins/none:name"
check "a file" refused 'Operation not permitted' touch "$pins/file"
check "another name" refused 'Operation not permitted' mv "$pins/first" "$pins/second"
check "a pin that is not there cannot be let go" refused 'No such file' rmdir "$pins/none"
same "the verb lists them" "$("$CHAINFS" checkpoints "$T/demo/store" | cut -f 2-4 | tr '\t\n' ' ;')" \
	"early 0000000100 complete;first 0000000298 complete;"
same "as JSON, too" "$("$CHAINFS" checkpoints "$T/demo/store" --json | grep -c '"state": *"complete"')" 2
check "the verb pins through the daemon" "$CHAINFS" pin "$T/demo/store" twice --height 100
same "which is built already" "$(cat "$pins/twice/state")" complete

# ---- letting go ----

check "one of two pins goes" rmdir "$pins/early"
check "and the checkpoint stays" test -f "$all/$(the_one_at 100)/info"
pack=$all/$(the_one_at 100)/SHA256SUMS
cp "$pack" "$T/before"
exec 3< "$pack"
head -c 10 <&3 > "$T/read"
gone() { ! ls "$all" | grep -q '^0000000100-'; }
check "the verb lets go through the daemon" "$CHAINFS" unpin "$T/demo/store" twice
check "and the checkpoint goes" eventually 10 gone
cat <&3 >> "$T/read" 2> "$T/read.err"
exec 3<&-
size=$(stat -c %s "$T/read")
check "an open reader got its bytes, or an error" sh -c \
	"cmp -n $size '$T/read' '$T/before' && { cmp -s '$T/read' '$T/before' || grep -q 'Stale file' '$T/read.err'; }"
check "its name is gone" refused 'No such file' stat "$pack"
no_gone() { ! compgen -G "$T/demo/store/networks/demo/checkpoints/*.gone" > /dev/null; }
check "nothing of it is left on the disk" eventually 10 no_gone
same "but what somebody wants" "$(ls "$T/demo/store/networks/demo/checkpoints")" "$first"

# ---- an import at the same time; two networks ----

"$CHAINFS" import "$T/demo/store" "$T/demo/archive" --network other --hyper on --quiet > "$T/import.out" 2>&1 &
import=$!
check "a pin while an import runs" timeout 10 mkdir "$pins/demo:during@200"
wait $import
same "the import ends well" $? 0
check "and it is built" eventually 30 complete demo:during
first=$(the_one_at 200)
check "whole" sums
same "with two networks pins are named with theirs" "$(ls "$pins" | tr '\n' ' ')" "demo:during demo:first "
check "a pin without a network is refused" refused 'Invalid argument' mkdir "$pins/plain"
check "the same chain in the other one" mkdir "$pins/other:same@200"
check "is built as well" eventually 30 complete other:same
check "and is the same but for what this node was told" diff -r "$all/$first" "$T/mnt/other/checkpoints/$first"

# ---- kill -9 while it is built, and a damaged pin ----

part() { compgen -G "$T/demo/store/networks/demo/checkpoints/*.part" > /dev/null; }
mkdir "$pins/demo:killed@250"
for _ in $(seq 20000); do
	part && break
done
check "the daemon is gone" kill_mount "$T/demo/store"
for at in $(mounts_of_test); do
	detach "$at"
done
check "it was killed while it built" part
echo '2x' > "$T/demo/store/networks/demo/pins/damaged"
rm "$T/demo/store/networks/demo/pins/first"
printf x | dd of="$T/demo/store/networks/demo/pins/killed" bs=1 seek=19 conv=notrunc status=none
mount_store "$T/demo/store" "$T/mnt" || exit 1
check "the pin is there after a kill, and built" eventually 30 complete demo:killed
check "one half of its file was damaged: it is counted, and that of the other pin" \
	grep -qx 'chainfs_store_damaged_total 2' "${pins%/pins}/metrics"
check "and it was mended" test "$(head -c 4096 "$T/demo/store/networks/demo/pins/killed")" = \
	"$(tail -c 4096 "$T/demo/store/networks/demo/pins/killed")"
check "and nothing of the first try is left" sh -c "! ls '$T/demo/store/networks/demo/checkpoints' | grep -q part"
first=$(the_one_at 250)
check "whole, too" sums
check "a pin whose file is damaged says so" grep -q '^failed: its file does not tell' "$pins/demo:damaged/state"
check "as long as it is there nothing is taken away" test -d "$all/$(the_one_at 298)"
check "it can be let go" rmdir "$pins/demo:damaged"
no_298() { ! ls "$all" | grep -q '^0000000298-'; }
check "and what nobody wants goes then" eventually 10 no_298
check "the daemon ends" end_mount "$T/demo/store" "$T/mnt"

# ---- without a daemon; a store filled in another order ----

same "without a daemon a pin is built at once" \
	"$("$CHAINFS" pin "$T/demo/store" offline --network demo --height 150 --quiet | cut -c1-10)" 0000000150
check "and lies there" test -f "$T/demo/store/networks/demo/checkpoints/$(
	ls "$T/demo/store/networks/demo/checkpoints" | grep ^0000000150)/SHA256SUMS"
check "a second of that name is refused" exits 4 "$CHAINFS" pin "$T/demo/store" offline --network demo
check "unpin takes it away" "$CHAINFS" unpin "$T/demo/store" offline --network demo
same "at once" "$(ls "$T/demo/store/networks/demo/checkpoints" | grep -c ^0000000150)" 0
check "one that is not there is said" exits 3 "$CHAINFS" unpin "$T/demo/store" offline --network demo

for range in 150-400 1-149; do
	"$CHAINFS" import "$T/second" "$T/demo/archive" --network demo --hyper on --range $range \
		--quiet > /dev/null 2>&1
done
"$CHAINFS" pin "$T/second" same --height 250 --quiet > /dev/null
mount_store "$T/demo/store" "$T/mnt" && mount_store "$T/second" "$T/mnt2" || exit 1
check "a store filled in another order gives the same checkpoint" \
	diff -r "$all/$first" "$T/mnt2/demo/checkpoints/$first"
check "daemons end" end_mount "$T/second" "$T/mnt2"
check "both of them" end_mount "$T/demo/store" "$T/mnt"

# ---- retention ----

mount_store "$T/second" "$T/mnt" --set checkpoints.every=100,checkpoints.keep=1 || exit 1
only() { [ "$(ls "$all" | cut -c1-10 | tr '\n' ' ')" = "$1" ]; }
check "retention makes the newest one by itself" eventually 30 only "0000000200 0000000250 "
check "its pin is not ours to remove" refused 'Operation not permitted' rmdir "$pins/auto-0000000200"
check "this one ends as well" end_mount "$T/second" "$T/mnt"
mount_store "$T/second" "$T/mnt" --set checkpoints.every=90,checkpoints.keep=1 || exit 1
check "a newer one takes its place" eventually 30 only "0000000250 0000000270 "
unmount "$T/mnt"
