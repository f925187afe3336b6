#!/bin/bash
# The benchmark's report: no row is left out in silence, and floors are judged as they say.
. "$(dirname "$0")/../support/lib.bash"
REPORT=$TESTS/bench/report.awk

row() { # FILE WORD…: with tabs between
	local file=$T/$1
	shift
	(IFS=$'\t'; echo "$*") >> "$file"
}

# Two operations of four file systems in three rounds; ours takes half the time again of the null
# one.
begin() {
	local op column r
	rm -f "$T"/*.tsv
	touch "$T"/{plan,samples,reasons,figures}.tsv
	for op in stat-1 names; do
		for column in chainfs-classic null-classic passthrough_ll ext4; do
			row plan.tsv fs $op $column 3
			for r in 1 2 3; do
				case $column in
				chainfs-*) row samples.tsv fs $op $column $r $((150 * r)).5 20.0 30.0 700 ;;
				null-*) row samples.tsv fs $op $column $r $((100 * r)).5 20.0 10.0 700 ;;
				passthrough_ll) row samples.tsv fs $op $column $r $((300 * r)) 20.0 90.0 700 ;;
				ext4) row samples.tsv fs $op $column $r $((50 * r)).1 20.0 0.0 700 ;;
				esac
			done
		done
	done
	row plan.tsv fs stat-1 squashfuse_ll 3
	row reasons.tsv fs stat-1 squashfuse_ll "it is not installed"
	row figures.tsv import "import: wall" 1234 ms
	row floors.tsv null stat-1,names 0.6 0.8 "of the null one's speed"
	row floors.tsv faster stat-1 1 3 "times as fast as both"
	row floors.tsv ext4 names 2 1.3 "times ext4's"
	row floors.tsv at-least import 0.5 0.8 "of the sum of its parts"
}

report() { # exit status, then what it says in $T/said
	awk -v json="$T/out.json" -v medians="$T/medians.out" -v want="${WANT:-}" -f "$REPORT" \
		"$T"/{plan,samples,reasons,figures,floors}.tsv > "$T/said" 2> "$T/errors"
}

said() { # WORDS…: some line has them, whatever the space between
	tr -s ' ' < "$T/said" | grep -qF -- "$1" || { cat "$T/said" "$T/errors"; return 1; }
}

last_is() {
	[ "$(tail -n 1 "$T/said")" = "$1" ] || { tail -n 3 "$T/said"; return 1; }
}

refused() { # WORDS: exit status 3, and the reason is one of the errors
	report
	local code=$?
	[ $code = 3 ] || { echo "exit status $code"; cat "$T/said" "$T/errors"; return 1; }
	grep -qF -- "$1" "$T/errors" || { cat "$T/errors"; return 1; }
}

begin
check "a floor that is not met is an exit code of 1" exits 1 report
check "a row has the median" said "stat-1 chainfs-classic 300.5 150.5-450.5"
check "a row that could not be measured says why" said "stat-1 squashfuse_ll not measured: it is not installed"
check "of the null file system's speed: met" said "met floor 0.6 goal 0.8 0.67 stat-1 chainfs-classic"
check "times ext4's, above the floor: not met" said "not met floor 2 goal 1.3 3.00 names chainfs-classic"
check "faster than both needs both" said "not measured floor 1 goal 3 - stat-1 chainfs-classic"
check "the last line counts the floors" last_is "2 floors met, 1 not met, 0 goals met, 1 not measured"
check "the JSON can be read, and has every row of the plan" python3 - "$T/out.json" << 'PYTHON'
import json, sys
r = json.load(open(sys.argv[1]))
assert len(r["operations"]) == 9, len(r["operations"])
assert sum("not_measured" in o for o in r["operations"]) == 1
assert r["figures"]["import: wall"]["value"] == 1234
assert (r["floors_met"], r["floors_not_met"], r["not_measured"]) == (2, 1, 1)
assert [f["met"] for f in r["floors"]] == [True, True, None, False], r["floors"]
PYTHON

WANT=import report
check "a floor whose part was asked for and gave nothing is counted" \
	last_is "2 floors met, 1 not met, 0 goals met, 2 not measured"

begin
row figures.tsv import import 0.9 "of the sum"
sed -i '/^ext4/d' "$T/floors.tsv"
check "every floor met is an exit code of 0" exits 0 report
check "and a goal is counted" last_is "3 floors met, 0 not met, 1 goals met, 1 not measured"

begin
sed -i '/names	null-classic	2/d' "$T/samples.tsv"
check "a sample that is missing is an error" refused "names of null-classic: 2 samples of 3"
begin
sed -i '/names	null-classic/d' "$T/samples.tsv"
check "a row that is missing is an error" refused "names of null-classic: no sample and no reason"
begin
: > "$T/reasons.tsv"
check "a row that is not explained is an error" refused "stat-1 of squashfuse_ll: no sample and no reason"
begin
sed -i '3s/	[^	]*$//' "$T/samples.tsv"
check "a line that is cut is an error" refused "not a sample"
begin
sed -i '3s/450.5/fast/' "$T/samples.tsv"
check "a word for a number is an error" refused "no number: fast"
begin
sed -i '3s/700$/699/' "$T/samples.tsv"
check "who did less is an error" refused "did 699 units of 700"
begin
row samples.tsv fs grep ext4 1 5 5 0 700
check "a row that nobody planned is an error" refused "not planned: grep of ext4"
begin
row samples.tsv fs names ext4 3 5 5 0 700
check "a row that is there twice is an error" refused "measured twice: names of ext4"
begin
row figures.tsv import import
check "a figure without a number is an error" refused "not a figure"

begin
report
check "the medians make bars, one a row" test \
	"$(awk -f "$TESTS/bench/plot-fs.awk" "$T/medians.out" | grep -o '<rect' | wc -l)" = 13
printf 'growth\t%s\t%s\t%s\n' "1000 blocks: mount" 20 ms "10000 blocks: mount" 30 ms > "$T/growth.tsv"
check "and growth makes a curve" test \
	"$(awk -f "$TESTS/bench/plot-growth.awk" "$T/growth.tsv" | grep -o '<circle' | wc -l)" = 2
[ "$tests_failed" = 0 ]
