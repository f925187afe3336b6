#!/bin/bash
# Every call that would change something is refused: EROFS in the tree, EPERM in ctl; and nothing is
# changed.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
B=$T/mnt/$NET/legacy/blocks/100
before=$(cd "$T/mnt" && find "$NET/legacy/blocks/" -printf '%p %s %m %T@\n' | sha256sum)

check "in a block's folder" probe change "$B/header" "$B/items" "$B/absent"
check "in a folder that grows" probe change "$T/mnt/$NET/README" "$T/mnt/$NET/legacy/blocks" "$T/mnt/$NET/absent"
check "at the root" probe change "$T/mnt/README" "$T/mnt/$NET" "$T/mnt/absent"
for refused in "touch $T/mnt/ctl/absent" "rm -f $T/mnt/ctl/README" "truncate -s 0 $T/mnt/ctl/README" \
	"mkdir $T/mnt/ctl/absent" "mv $T/mnt/ctl/README $T/mnt/ctl/absent"; do
	same "in ctl: ${refused%% *}" "$($refused 2>&1 | grep -c 'Operation not permitted\|Permission denied')" 1
done
if rm -rf "$T/mnt/$NET" 2> /dev/null; then
	not_ok "rm -rf is refused"
else
	ok "rm -rf is refused"
fi
same "nothing changed" "$(cd "$T/mnt" && find "$NET/legacy/blocks/" -printf '%p %s %m %T@\n' | sha256sum)" "$before"
