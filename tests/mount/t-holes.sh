#!/bin/bash
# heights/S.map: heights that nobody brought are zeros, whole pages of them holes, and tools see
# them.
. "$(dirname "$0")/lib.bash"

"$CHAINFS" forge "$T/archive" --blocks 30000 --messages 1 --quiet || exit 1
import() { "$CHAINFS" import "$T/st" "$T/archive" --network $NET --quiet --range "$1" > /dev/null; }
import 0:1-3 && import 0:4090-4095 && import 0:9990-10000 || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
map=$T/mnt/$NET/heights/0.map

check "the map is as large as the chain is long" test "$(stat -c %s "$map")" -ge 10001
same "a missing height is a NUL byte" "$(head -c 8 "$map" | od -An -c | tr -d ' ')" 'rrr\0\0\0\0\0'
same "one that waits is held" "$(tail -c 5 "$map")" hhhh
check "its extents are what its bytes say" ask holes "$map"
same "two pages have data, one is a hole" "$(ask holes "$map" | grep ^hole)" "hole 4096 8192"
same "blocks count data alone" "$(stat -c %b "$map")" "$(((10001 - $(ask holes "$map" |
	awk '/^hole/ { n += $3 - $2 } END { print n }') + 511) / 512))"
check "any other file is one extent" sh -c "test \"$(ask holes "$T/mnt/README" | wc -l)\" = 1"

cp --sparse=auto "$map" "$T/copied"
check "cp copies it whole" cmp "$map" "$T/copied"
check "and sparse" test "$(stat -c %b "$T/copied")" -lt 20
cp --sparse=always "$map" "$T/always"
check "cp --sparse=always, too" cmp "$map" "$T/always"
tar -C "$(dirname "$map")" -cSf "$T/sparse.tar" 0.map
mkdir "$T/out"
tar -C "$T/out" -xf "$T/sparse.tar"
check "tar -S carries it" cmp "$map" "$T/out/0.map"
check "and left the hole out" test "$(tar --list --verbose -f "$T/sparse.tar" | wc -l)" = 1 -a \
	"$(stat -c %b "$T/out/0.map")" -lt 20
rsync -aS "$map" "$T/rsynced"
check "rsync -S, too" cmp "$map" "$T/rsynced"

exec 8< "$map"
import 0:4000-9000
same "the hole is gone once the heights came" "$(ask holes "$map" | grep -c ^hole)" 0
same "who had it open sees its own version" "$(ask holes /proc/self/fd/8 | grep ^hole)" "hole 4096 8192"
exec 8<&-
