#!/bin/bash
# File systems against each other: ours, a null one behind the same transport, libfuse's passthrough_ll and
# squashfuse_ll over the same content, ext4. In turns, each cell on a fresh mount.
#
#     FILES=15000 NAMES=100000 ROUNDS=3 OPS="stat-1 …" COLUMNS="chainfs null …" tests/bench/fs.sh
#
# The content is that of a generated chain: the blocks of a shard and its state, about FILES files; a folder
# of NAMES names; a large file that lies on the disk as it is shown, and one that is rendered.
. "$(dirname "$0")/lib.bash"
FILES=${FILES:-15000}
NAMES=${NAMES:-100000}
ALL_OPS="stat-1 stat-4 find find-size read-1 read-4 grep tar diff names"
ALL_OPS="$ALL_OPS plain-cold plain-warm plain-4k text-first text-cold text-warm text-4k"
OPS=${OPS:-$ALL_OPS}
TRANSPORTS=${TRANSPORTS:-classic}
columns=
for t in $TRANSPORTS; do
	columns="$columns chainfs-$t null-$t"
done
COLUMNS=${FILESYSTEMS:-$columns passthrough_ll squashfuse_ll ext4}

[ -c /dev/fuse ] && [ -w /dev/fuse ] || skip "there is no /dev/fuse for this user"

# ---- content ----

# Of a small chain a third of the files are of state, the rest of blocks.
chain files --blocks $((FILES / 10)) --messages $((FILES * 7 / 10)) --accounts $((FILES / 300 + 1))
store files
# Legacy prunes what is beyond the account's storage, hyper retains all: two of three messages are
# casts. Of one account, some twenty in the same second.
# As many heights as make a range of a thousand full, so that its text is fixed.
chain names --blocks $((NAMES / 20 + 3300)) --messages $((NAMES * 155 / 100)) --accounts 1
store names
FOLDERS="shards/1/blocks state/shards/1"

make_pack() {
	[ -e "$KEEP/names.pinned" ] && return
	"$CHAINFS" pin "$KEEP/names.store" bench --quiet > "$T/pin.out" 2>&1 || { cat "$T/pin.out" >&2; fail "no pin"; }
	touch "$KEEP/names.pinned"
}

find_names() { # below the mount of that chain, relative to its network
	local account
	account=$(cd "$M/$NET" && echo hyper/state/shards/1/accounts/*/*)
	echo "$account/casts" > "$KEEP/names.folder"
	(cd "$M/$NET" && find checkpoints -name '*.pb' -size +256k -printf '%s %p\n') | sort -n | tail -n 1 |
		cut -d ' ' -f 2- > "$KEEP/names.plain"
	echo legacy/shards/1/blocks/0000000000-0000000999/items.jsonl > "$KEEP/names.text"
	[ -s "$KEEP/names.plain" ] || fail "the checkpoint has no large file"
}

# The same content as plain files, on a file system of their own where this one is not ext4.
TREE=$KEEP/tree
on_ext4=1
if [ "$(stat -f -c %T "$KEEP")" != ext2/ext3 ]; then
	on_ext4=
	if [ "$(id -u)" = 0 ] && command -v mkfs.ext4 > /dev/null; then
		[ -e "$KEEP/ext4.img" ] || {
			truncate -s 4G "$KEEP/ext4.img" &&
				mkfs.ext4 -qF -N $((NAMES * 2 + 100000)) "$KEEP/ext4.img"
		}
		mkdir -p "$T/ext4"
		mount -o loop "$KEEP/ext4.img" "$T/ext4" && TREE=$T/ext4/tree on_ext4=1
	fi
fi

make_tree() {
	local to=$TREE folder
	[ "$(cat "$TREE.done" 2> /dev/null)" = "$FILES $NAMES" ] && return
	say "copying the content to plain files"
	rm -rf "$to" "$KEEP"/squash.img
	mkdir -p "$to/names" "$to/big"
	mount_chainfs "$KEEP/files.store" || fail "no mount to copy from"
	for folder in $FOLDERS; do
		mkdir -p "$to/${folder%/*}"
		cp -r --preserve=timestamps "$M/$NET/legacy/$folder" "$to/${folder%/*}/" || fail "no copy"
	done
	unmount
	make_pack
	mount_chainfs "$KEEP/names.store" || fail "no mount to copy from"
	find_names
	ls -f "$M/$NET/$(cat "$KEEP/names.folder")" | grep -v '^\.' | (cd "$to/names" && xargs touch)
	cp "$M/$NET/$(cat "$KEEP/names.plain")" "$to/big/plain"
	cp "$M/$NET/$(cat "$KEEP/names.text")" "$to/big/text"
	unmount
	# In an order that is no file system's own.
	(cd "$to" && find $FOLDERS -type f | sort | shuf --random-source=<(yes)) > "$KEEP/files.list"
	echo "$FILES $NAMES" > "$TREE.done"
}
make_tree

RAM=$(mktemp -d "/dev/shm/chainfs-bench${BENCH_TAG:-}.XXXXXX") &&
	[ "$(stat -f -c %T "$RAM")" = tmpfs ] || fail "/dev/shm is no tmpfs"
for folder in $FOLDERS; do
	mkdir -p "$RAM/${folder%/*}" && cp -r "$TREE/$folder" "$RAM/${folder%/*}/"
done

# ---- what we are compared with ----

why_not= # what cannot be had, a line each: COLUMN WHY
lacks() {
	why_not="$why_not$1 $2"$'\n'
}

if [[ $COLUMNS == *squashfuse_ll* ]]; then
	if ! command -v squashfuse_ll > /dev/null || ! command -v mksquashfs > /dev/null; then
		lacks squashfuse_ll "squashfuse and squashfs-tools are not installed"
	elif [ ! -e "$KEEP/squash.img" ]; then
		say "making the squashfs image"
		mksquashfs "$TREE" "$KEEP/squash.img" -comp zstd -Xcompression-level 3 -no-xattrs -quiet \
			-no-progress > "$T/squash.out" 2>&1 || {
			rm -f "$KEEP/squash.img"
			lacks squashfuse_ll "mksquashfs fails: $(tail -n 1 "$T/squash.out")"
		}
	fi
fi

# libfuse's own example; Debian ships it as documentation, else its source package has it. Never
# ours to keep.
get_passthrough() {
	local source=/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c
	[ -x "$WORK/passthrough_ll" ] && return
	if [ ! -r $source ]; then
		rm -rf "$T/fuse3" && mkdir "$T/fuse3"
		(cd "$T/fuse3" && apt-get source --download-only fuse3 &&
			tar -xf fuse3_*.orig.tar.*) > "$T/source.out" 2>&1
		source=$(find "$T/fuse3" -name passthrough_ll.c | head -n 1)
		[ -n "$source" ] || {
			lacks passthrough_ll "its source cannot be had: $(tail -n 1 "$T/source.out")"
			return
		}
	fi
	${CC:-cc} -O2 -w -I"$(dirname "$source")" "$source" -o "$WORK/passthrough_ll" \
		$(pkg-config --cflags --libs fuse3) > "$T/source.out" 2>&1 ||
		lacks passthrough_ll "its source does not compile: $(tail -n 1 "$T/source.out")"
}
if [[ $COLUMNS == *passthrough_ll* ]]; then
	get_passthrough
	# It holds a descriptor of every file that it was asked about.
	need=$((NAMES + 2 * $(wc -l < "$KEEP/files.list")))
	[ "$(ulimit -Hn)" -ge $need ] || ulimit -Hn $need 2> /dev/null
	ulimit -Sn "$(ulimit -Hn)"
	descriptors=$(ulimit -n)
fi
[ -n "$on_ext4" ] || lacks ext4 "$KEEP is on $(stat -f -c %T "$KEEP"), and no ext4 can be mounted"

up() { # COLUMN STORE: where the content is then: $R
	R=$M servers=
	uring_on # others may use the switch, too
	case $1 in
	chainfs-*)
		local options=()
		[ "$1" = chainfs-classic ] || options=(-o "transport=${1#*-}")
		mount_chainfs "$KEEP/$2.store" "${options[@]}"
		;;
	null-*) serve "$PROGRAMS/nullfs" -t "${1#*-}" "$TREE" "$M" ;;
	passthrough_ll) serve "$WORK/passthrough_ll" -f -o "source=$TREE,cache=always" "$M" ;;
	squashfuse_ll) serve squashfuse_ll -f "$KEEP/squash.img" "$M" ;;
	ext4) R=$TREE ;;
	*) fail "what is $1?" ;;
	esac
}

# Where a column has what: ours has it in two stores, and the names of a chain.
place() { # COLUMN WHAT
	case $1-$2 in
	chainfs-*-files) echo "$R/$NET/legacy" ;;
	chainfs-*-plain) echo "$R/plain/$NET/$(cat "$KEEP/names.$2")" ;;
	chainfs-*) echo "$R/$NET/$(cat "$KEEP/names.$2")" ;;
	*-files) echo "$R" ;;
	*-folder) echo "$R/names" ;;
	*) echo "$R/big/$2" ;;
	esac
}

# ---- cells ----

diff_both() {
	printf 'cd %q && for f in %s; do diff -rq "$f" %q/"$f" || exit; done' "$1" "$FOLDERS" "$RAM"
}

measured() { # WORD…: with what the kernel caches for it charged to our group
	[ -n "$group" ] || { "$PROGRAMS/fsbench" "$@"; return; }
	bash -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$group" "$PROGRAMS/fsbench" "$@"
}

cell() { # OP COLUMN ROUND
	local op=$1 column=$2 words=() server said p what=names memory at folder
	case $op in
	names | plain-* | text-*) ;;
	*) what=files ;;
	esac
	up "$column" $what || fail "$column cannot be mounted"
	stat "$R" > /dev/null || fail "$column does not answer"
	case $op in
	stat-* | read-*) at=$(place "$column" files) words=("${op%-*}" "$at" "$KEEP/files.list" "${op#*-}") ;;
	find) at=$(place "$column" files) words=(run find) ;;
	find-size) at=$(place "$column" files) words=(run find) ;;
	grep) at=$(place "$column" files) words=(run grep -rc nosuchword) ;;
	tar) at=$(place "$column" files) words=(run tar -cf - -C "$at" $FOLDERS) ;;
	diff) at=$(place "$column" files) words=(run bash -c "$(diff_both "$at")") ;;
	names) words=(run ls -fA "$(place "$column" folder)") ;;
	plain-cold) words=(seq "$(place "$column" plain)") ;;
	plain-warm) words=(seq "$(place "$column" plain)" warm) ;;
	plain-4k) words=(pread "$(place "$column" plain)" "$PREADS" 1) ;;
	text-first | text-cold) words=(seq "$(place "$column" text)") ;;
	text-warm) words=(seq "$(place "$column" text)" warm) ;;
	text-4k) words=(pread "$(place "$column" text)" "$PREADS" 1) ;;
	*) fail "what is $op?" ;;
	esac
	case $op in
	find | find-size | grep) for folder in $FOLDERS; do words+=("$at/$folder"); done ;;
	esac
	[ $op = find-size ] && words+=(-type f -size +1k)
	server=()
	for p in $servers; do
		server+=(-s "$p")
	done
	# Once before, unless it is the first time that counts: our daemon is to be warm, the kernel
	# cold.
	[ "${column%%-*}" != chainfs ] || [ $op = text-first ] || [ -z "$group" ] || {
		measured "${words[@]}" > /dev/null 2>&1
		forget || fail "the kernel's cache cannot be emptied"
	}
	memory=$(memory)
	said=$(measured "${server[@]}" "${words[@]}" 2> "$T/cell.err") ||
		{ cat "$T/cell.err" >&2; fail "$op of $column"; }
	[ ! -s "$T/cell.err" ] || { sed "s/^/# $op $column: /" "$T/cell.err" | head -n 3 >&2; }
	printf 'fs\t%s\t%s\t%s\t%s\n' "$op" "$column" "$3" "${said// /	}" >> "$SAMPLES"
	[ "$op-$column" != "names-chainfs-${column#*-}" ] || echo $(($(memory) - memory)) >> "$T/grown"
	unmount
}
PREADS=${PREADS:-8000}
WARM=${WARM:-1}
[ "$WARM" = 0 ] || make_group ||
	say "no memory group can be made: our daemon is measured as it starts, with nothing read"

# The kernel has a switch for io_uring, usually off. It is turned on for the run, and put back.
URING_SWITCH=/sys/module/fuse/parameters/enable_uring
uring_on() {
	[[ " $TRANSPORTS " == *" uring "* ]] && [ -w $URING_SWITCH ] && [ "$(cat $URING_SWITCH)" = N ] || return 0
	echo Y > $URING_SWITCH && restore_switch=$URING_SWITCH
}
uring_on

for t in $TRANSPORTS; do
	why=$("$PROGRAMS/nullfs" -t "$t" 2>&1) || { lacks "chainfs-$t" "$why"; lacks "null-$t" "$why"; }
done

for op in $OPS; do
	for column in $COLUMNS; do
		printf 'fs\t%s\t%s\t%s\n' "$op" "$column" "$ROUNDS" >> "$WORK/plan.tsv"
	done
done
for round in $(seq "$ROUNDS"); do
	for op in $OPS; do
		for column in $COLUMNS; do
			why=$(grep "^$column " <<< "$why_not" | cut -d ' ' -f 2-)
			if [ -n "$why" ]; then
				[ "$round" != 1 ] || absent fs "$op" "$column" "$why"
				continue
			fi
			cell "$op" "$column" "$round"
		done
	done
	say "round $round of $ROUNDS is done"
done
[ ! -s "$T/grown" ] || figure fs memory "$(sort -n "$T/grown" | tail -n 1 | awk '{ printf "%.1f", $1 / 1024 }')" \
	"MiB more of the daemon after a listing of $NAMES names, at most"
