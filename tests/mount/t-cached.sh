#!/bin/bash
# What is fixed is asked for once: the second find, ls -lR, du and grep -r ask the daemon nothing.
. "$(dirname "$0")/lib.bash"

"$CHAINFS" forge "$T/archive" --blocks 3300 --messages 4000 --quiet || exit 1
"$CHAINFS" import "$T/st" "$T/archive" --network $NET --hyper on --quiet > /dev/null || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
N=$T/mnt/$NET
R=0000000000-0000000999
find "$N/legacy/" -maxdepth 1 > /dev/null

# asks FOLDER COMMAND…: requests of the second time, run inside; the least of a few tries, because
# the kernel may forget something under pressure, and others on this machine may look at mounts.
asks() {
	local folder=$1 before now least=999999
	shift
	(cd "$folder" && "$@") > /dev/null 2>&1
	for _ in 1 2 3; do
		before=$(counter fuse_requests "$T/mnt")
		(cd "$folder" && "$@") > /dev/null 2>&1
		now=$(($(counter fuse_requests "$T/mnt") - before))
		[ $now -ge $least ] || least=$now
		[ $least -gt 0 ] || break
	done
	echo $least
}

same "looking at the counter asks nothing" "$(asks / true)" 0
for folder in legacy/at/900 hyper/at/900 hyper/at/900/shards/1 legacy/blocks/$R hyper/shards/1/blocks/$R diffs/900 \
	hyper/shards/1/envelopes/$R; do
	d=$N/$folder
	same "find in $folder" "$(asks "$d" find .)" 0
	same "find -size in $folder" "$(asks "$d" find . -size +3)" 0
	same "du in $folder" "$(asks "$d" du -s .)" 0
	same "stat of $folder" "$(asks "$d" stat .)" 0
done
for folder in legacy/at/900 hyper/shards/1/blocks/$R/0000000500; do
	d=$N/$folder
	# Each process that lists with -l asks twice whether there are labels and access lists.
	asked=$(asks "$d" ls -lR .)
	check "ls -lR in $folder asks of the device alone ($asked)" test "$asked" -le 2
	# grep asks a file that is larger than its buffer where its holes are: the kernel keeps no
	# answer.
	large=$(find "$d" -type f -size +32k | wc -l)
	asked=$(asks "$d" grep -r zzzzz .)
	check "grep -r in $folder asks for the holes of $large large files ($asked)" test "$asked" -le "$large"
	small=$(mktemp "$T/small.XXXX")
	(cd "$d" && find . -type f -size -33k -print0) > "$small"
	same "of all others it asks nothing" "$(asks "$d" xargs -0 -a "$small" grep zzzzz)" 0
	same "cat of all" "$(asks "$d" sh -c 'find . -type f -exec cat {} +')" 0
done
lists=$(echo "$N"/{legacy,hyper}/shards/{1,2}/blocks/$R)
files=$(ls -R $lists | grep -c .)
asked=$(asks / ls -lR $lists)
check "ls -lR of $files names asks of the device alone ($asked)" test "$files" -gt 20000 -a "$asked" -le 2
absent() { cat absent none nothing || true; }
export -f absent
same "names that are absent, where none ever comes" "$(asks "$N/legacy/blocks/$R/0000000500" bash -c absent)" 0

# What settles asks, and alone: one file is looked up and no more.
same "status is looked up" "$(asks "$N" stat status)" 1
same "a link that moves is looked up and read" "$(asks "$N" readlink head)" 2
