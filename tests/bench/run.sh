#!/bin/bash
# The benchmark: runs the parts that are asked for, prints their table and says which floors are met.
#
#     make bench                                  fs import stored growth, in some minutes
#     make bench QUICK=1                          small, in less than two; says little
#     make bench BENCH_PARTS="fs growth" …        with the settings of the parts (README.md)
#     make bench-floors                           judges the last run
#
# Exit code: 0; 1 something failed; 3 a row is missing or cannot be read. With --floors also 1: a floor is
# not met, or none was measured.
# CHAINFS, PROGRAMS and WORK as in lib.bash; the results are WORK/results.json, WORK/*.svg.
cd "$(dirname "$0")" || exit 1
judge() { # JSON MEDIANS
	awk -v json="$1" -v medians="$2" -v want="$(cat "$WORK/wanted" 2> /dev/null)" -f report.awk \
		"$WORK"/{plan,samples,reasons,figures}.tsv floors.tsv
}

if [ "${1:-}" = --floors ]; then
	[ -s "$WORK/results.json" ] || { echo "bench: there is no run in $WORK yet" >&2; exit 1; }
	judge "" "" | sed -n '/ floor .* goal /p; $p'
	exit "${PIPESTATUS[0]}"
fi
parts=${BENCH_PARTS:-fs import stored growth}
if [ "${QUICK:-0}" = 1 ]; then
	export FILES=${FILES:-2000} NAMES=${NAMES:-12000} ROUNDS=${ROUNDS:-1} MESSAGES=${MESSAGES:-4000}
	export BLOCKS=${BLOCKS:-6000} TIPS=${TIPS:-20}
	export SIZES=${SIZES:-3000} PREADS=${PREADS:-1000} LOOKUPS=${LOOKUPS:-300}
fi
mkdir -p "$WORK" || exit 1
# One run at a time: the next one would take away what this one keeps.
exec 9> "$WORK/running" && flock -n 9 || { echo "bench: another run is under way in $WORK" >&2; exit 1; }
rm -f "$WORK"/*.tsv "$WORK"/results.json "$WORK"/wanted "$WORK"/*.svg
touch "$WORK"/{plan,samples,reasons,figures,medians}.tsv

want=
for part in $parts; do
	case $part in
	fs) want="$want memory" ;;
	import | stored) want="$want $part" ;;
	growth) want="$want mount" ;;
	follow) want="$want tip split idle-share" ;;
	*) ;;
	esac
	[ -x "./$part.sh" ] || { echo "bench: there is no part $part" >&2; exit 1; }
	BENCH=$PROGRAMS "./$part.sh" 9>&-
	code=$?
	[ $code = 77 ] && { echo "bench: $part was skipped" >&2; code=0; }
	[ $code = 0 ] || { echo "bench: $part failed" >&2; exit $code; }
done

echo "$want" > "$WORK/wanted"
judge "$WORK/results.json" "$WORK/medians.tsv"
code=$?
[ $code -le 1 ] || exit $code
awk -f plot-fs.awk "$WORK/medians.tsv" > "$WORK/fs.svg" &&
	awk -f plot-growth.awk "$WORK/figures.tsv" > "$WORK/growth.svg"
