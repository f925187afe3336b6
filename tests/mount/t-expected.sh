#!/bin/bash
# Recordings, imported and mounted, against what the recorded nodes answered. More recordings than
# those of this repository are compared when CHAINFS_VECTORS names a folder of them.
. "$(dirname "$0")/lib.bash"

compare() # RECORDING [EXPECTED]
{
	local name
	name=$(basename "$1")
	mkdir -p "$T/$name.mnt"
	"$CHAINFS" import "$T/$name" "$1" --network net --hyper on --quiet || return 1
	"$CHAINFS" mount "$T/$name" "$T/$name.mnt" || return 1
	python3 "$TESTS/support/compare_expected.py" "$T/$name.mnt/net" "${2:-$1/expected}"
	local rc=$?
	unmount "$T/$name.mnt"
	return $rc
}

for recording in "$VECTORS"/devnet-* "${CHAINFS_VECTORS:-/nonexistent}"/devnet-*; do
	[ -d "$recording" ] || continue
	[ "${recording#"$VECTORS"}" = "$recording" ] && [ -d "$VECTORS/$(basename "$recording")" ] && continue
	check "$(basename "$recording"): accounts, records, roots and hyper are what its node answered" \
		compare "$recording"
done
node2_hyper()
{
	mkdir "$T/both"
	cp "$VECTORS/devnet-a-node2/expected/"* "$VECTORS/devnet-a/expected/hyper-by-checker.json" "$T/both"
	rm -rf "$T/devnet-a-node2" && compare "$VECTORS/devnet-a-node2" "$T/both"
}
check "devnet-a-node2: its hyper is devnet-a's" node2_hyper
