#!/bin/bash
# The benchmark runs from end to end, with tiny sizes: every part, every row, JSON and plots.
. "$(dirname "$0")/../support/lib.bash"
export PROGRAMS=${PROGRAMS:-$(dirname "$CHAINFS")/release/tests/bench}
[ -x "$PROGRAMS/nullfs" ] && [ -x "$PROGRAMS/fsbench" ] && [ -x "$PROGRAMS/bench_writes" ] ||
	skip "the programs of the benchmark are not built (make bench-programs)"
[ -c /dev/fuse ] && [ -w /dev/fuse ] || skip "there is no /dev/fuse for this user"
export WORK=$T/bench BENCH_TAG=-test-$$

ours() { # mounts of anything below $T
	awk -v t="$T/" 'index($2, t) == 1' /proc/self/mounts
}

check "a small run ends well" env QUICK=1 FILES=600 NAMES=1500 PREADS=50 MESSAGES=600 SIZES=600 LOOKUPS=50 TMPDIR="$T" \
	"$TESTS/bench/run.sh"
same "it leaves no mount behind" "$(ours)" ""
check "and nothing in memory" bash -c '! ls -d /dev/shm/chainfs-bench$BENCH_TAG.*'

check "every row of the plan is in the results, measured or explained" python3 - "$WORK" << 'PYTHON'
import json, sys
work = sys.argv[1]
r = json.load(open(work + "/results.json"))
plan = [tuple(l.rstrip("\n").split("\t")[1:3]) for l in open(work + "/plan.tsv")]
got = {(o["operation"], o["filesystem"]): o for o in r["operations"]}
assert len(plan) == len(got) >= 80, (len(plan), len(got))
for key in plan:
    o = got[key]
    assert o.get("wall_ms", 0) > 0 or o["not_measured"], o
    if key[1].startswith(("chainfs", "null")) and not key[0].startswith(("plain", "text")):
        assert o["server_cpu_ms"] > 0, o
for name in ("import", "stored", "import: wall"):
    assert r["figures"][name]["value"] > 0, name
assert any(n.startswith("600 blocks: mount") for n in r["figures"])
assert r["floors_met"] + r["floors_not_met"] + r["not_measured"] == len(r["floors"]) > 20
PYTHON
for plot in fs growth; do
	check "$plot.svg is XML" python3 -c "import sys, xml.dom.minidom as d; d.parse(sys.argv[1])" "$WORK/$plot.svg"
done
check "floors are judged again without a run" says "floors met" "$TESTS/bench/run.sh" --floors

# What dies on the way takes its mounts along, and the run says that it failed.
mkdir "$T/broken"
cp "$PROGRAMS"/* "$T/broken/"
printf '#!/bin/sh\nexit 2\n' > "$T/broken/fsbench"
check "a run that breaks off says so" exits 1 env PROGRAMS="$T/broken" QUICK=1 FILES=600 NAMES=1500 BENCH_PARTS=fs \
	TMPDIR="$T" "$TESTS/bench/run.sh"
same "and leaves no mount either" "$(ours)" ""
check "and nothing in memory either" bash -c '! ls -d /dev/shm/chainfs-bench$BENCH_TAG.*'
