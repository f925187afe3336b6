#!/bin/bash
# Bit rot in every kind of file of a store: SEED=… FLIPS=500 tests/faults/rot.sh (31: one of a kind)
# Memory is as good a disk for this, and syncs at once.
[ -n "${TMPDIR:-}" ] || { [ -w /dev/shm ] && export TMPDIR=/dev/shm; }
. "$(dirname "$0")/../support/lib.bash"
seed=${SEED:-${TEST_SEED:-$RANDOM}} flips=${FLIPS:-31}
reader=${READ_TREE:-$(dirname "$CHAINFS")/release/tests/faults/read_tree}
[ -x "$reader" ] || reader=$(dirname "$CHAINFS")/tests/faults/read_tree
[ -x "$reader" ] || skip "read_tree is not built: make test-programs"
echo "# SEED=$seed FLIPS=$flips"
python3 "$(dirname "$0")/rot.py" "$CHAINFS" "$reader" "$T" "$seed" "$flips" ${JOBS:-}
