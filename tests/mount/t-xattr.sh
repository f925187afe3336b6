#!/bin/bash
# user.chain.* on what the mount shows: exact, carried by the tools that carry attributes, and free
# for those that ask for others'.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on --range 1-200 || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
ask rss $$ > /dev/null || exit 1
N=$T/mnt/$NET
B=$N/legacy/blocks/100
value() { getfattr --only-values --absolute-names -n "user.chain.$1" "$2" 2> /dev/null; }
names() { getfattr --absolute-names "$1" | sed -n 's/^user\.chain\.//p' | tr '\n' ' '; }

record=$(find "$N/hyper/at/150/shards/1/accounts" -name '*.json' | sort | head -n 1)
item=$(find "$N"/legacy/shards/1/blocks/*/*/items -name '*-cast-add-*.json' | head -n 1)
account=$(dirname "$(dirname "$record")")
check "every size of every value and list is answered exactly" ask xattrs "$B" "$B"/* "$B/items" "$record" \
	"$item" "$account" "$account"/* "$N/hyper/at/150" "$N/hyper/at/150/shards/1" "$N/legacy/state" \
	"$N/legacy/blocks/0000000000-0000000999" "$N/legacy/blocks/0000000000-0000000999/index.tsv" \
	"$N/diffs/150" "$N/diffs/150/report" "$N/heights/0.map" "$N" "$T/mnt" "$N/README" "$N/status"

same "a block's folder" "$(names "$B/")" "context hash height level parent shard "
same "its context is its folder's" "$(value context "$B") $(value context "$N/hyper/blocks/100")" "legacy hyper"
same "its hash is the header's" "$(value hash "$B")" "$(sed -n 's/^hash //p' "$B/header")"
same "its parent, too" "$(value height "$N/legacy/blocks/99") $(value parent "$B")" \
	"99 $(value hash "$N/legacy/blocks/99")"
same "parent is what the file says" "$(value parent "$B")" "$(cut -d ' ' -f 2 "$B/parent")"
same "height and shard" "$(value height "$B") $(value shard "$B")" "100 0"
same "level of a replayed block" "$(value level "$B/header")" state
same "a file that is one inode in both contexts" "$(value context "$B/header")" both
same "a record's hash is in its name" "$(value hash "$record")" "$(basename "$record" .json | cut -d - -f 2)"
same "an item's begins as its name says" "$(value hash "$item" | cut -c 1-8)" \
	"$(basename "$item" .json | sed 's/.*-//')"
same "an item has no parent" "$(names "$item")" "context hash height level shard "
same "an account's is its root" "$(value hash "$account")" "$(cat "$account/root" | grep -o '[0-9a-f]\{40\}')"
same "a state's is the root of its height" "$(value hash "$N/hyper/at/150")" \
	"$(awk '$1 == "0000000150" { print $2 }' "$N/hyper/roots/0000000000-0000000999.tsv")"
same "status has none" "$(names "$N/status")" ""
same "a link has none" "$(getfattr -h --absolute-names "$N/head" 2>&1)" ""

# What settles is never old.
"$CHAINFS" import "$T/st" "$ARCHIVE" --network $NET --quiet --range 0:210-215 > /dev/null
same "a block beyond a gap is not replayed" "$(value level "$N/legacy/blocks/212")" messages
same "nor is its verify" "$(value level "$N/legacy/blocks/212/verify")" messages
"$CHAINFS" import "$T/st" "$ARCHIVE" --network $NET --quiet > /dev/null
same "at once it is" "$(value level "$N/legacy/blocks/212") $(value level "$N/legacy/blocks/212/verify")" "state state"
same "state moves on" "$(value height "$N/legacy/state")" 273

# A checkpoint is of the block that it is named after.
mkdir "$(ctl_of "$T/mnt")/pins/kept"
complete() { [ "$(cat "$T/mnt/ctl/pins/kept/state")" = complete ]; }
check "a checkpoint is built" eventually 30 complete
made=$(echo "$N"/checkpoints/0*)
same "it says its height" "$(value height "$made") $(value height "$made/info")" "273 273"
same "and the hash that its name begins" "$(value hash "$made" | cut -c 1-8)" "${made##*-}"
check "so does everything in it, exactly" ask xattrs "$made" "$made"/* "$made"/legacy/* "$made"/evidence/*

# Tools that carry attributes, there and back.
mkdir "$T/tar" "$T/rsync" "$T/cp"
carried() { # FOLDER: all attributes below it, by path
	(cd "$1" && find . -exec getfattr -d {} + | LC_ALL=C sort | sha256sum)
}
if setfattr -n user.chain.x -v y "$T/cp" 2> /dev/null; then
	setfattr -x user.chain.x "$T/cp"
	src=$N/hyper/at/100/shards/1
	wanted=$(carried "$src")
	check "there is something to carry" test "$(cd "$src" && find . -exec getfattr -d {} + | grep -c hash=)" -gt 50
	# Only root may give attributes to a copy that nobody may write.
	writable=() of_tar=()
	[ "$(id -u)" = 0 ] || writable=(--chmod=u+w) of_tar=(--mode=u+w)
	tar -C "$src" "${of_tar[@]}" --xattrs -cf - . | tar -C "$T/tar" --xattrs -xf -
	same "tar --xattrs carries them" "$(carried "$T/tar")" "$wanted"
	rsync -aX "${writable[@]}" "$src/" "$T/rsync/"
	same "rsync -aX carries them" "$(carried "$T/rsync")" "$wanted"
	same "a second rsync -aX has nothing to do" "$(rsync -aXi "${writable[@]}" "$src/" "$T/rsync/")" ""
	if [ "$(id -u)" = 0 ]; then
		cp -a "$src/." "$T/cp/"
		same "cp -a carries them" "$(carried "$T/cp")" "$wanted"
	fi
else
	ok "the disk of $T has no attributes to carry to # SKIP"
fi
chmod -R u+w "$T/tar" "$T/rsync" "$T/cp"

# ls asks for what others say of a file: a device that has not got it is asked once.
files=$(ls "$N/hyper/blocks/0000000000-0000000999" | wc -l)
ls -l "$N/hyper/blocks/0000000000-0000000999" > /dev/null
before=$(counter fuse_requests "$T/mnt")
ls -l "$N/hyper/blocks/0000000000-0000000999" > /dev/null
asked=$(($(counter fuse_requests "$T/mnt") - before))
check "ls -l of $files folders asks us $asked times" test $asked -le 4
