#!/bin/bash
# Runs test programs and scripts, shows what failed in full, and ends with one total.
#
#     tests/run.sh [--flavour NAME] [--chainfs PATH] [--transport NAME] FILE...
#
# Flags hold for the files after them; with a transport, scripts mount over that one.
#
# A cmocka program counts test by test (TAP). A script (*.sh) counts its "ok"/"not ok" lines, or as
# one test when it prints none; exit 77 says that it was skipped, its last line says why. A program
# that dies, or stops before its plan is through, is a failure besides. A fuzzer replays its corpus.
# TEST_JOBS of them run at a time, each at most TEST_TIMEOUT_S (those of tests/slow: SLOW_TIMEOUT_S); but alone what makes the kernel forget its
# caches, which others count on, or uses devices of the machine: scripts with a line "# alone: why".
# TEST_WRAP is a command that programs run under (valgrind, say).
# TEST_TIMES=1 says how many seconds each took, and how many of a processor (daemons are not counted), the slowest first.
cd "$(dirname "$0")/.." || exit 1

TEST_TIMEOUT_S=${TEST_TIMEOUT_S:-300}
SLOW_TIMEOUT_S=${SLOW_TIMEOUT_S:-2400}
TEST_JOBS=${TEST_JOBS:-$(nproc)}

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$PWD/tests/lsan.supp:print_suppressions=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

run_one() # FLAVOUR CHAINFS FILE RESULT TRANSPORT
{
	local flavour=$1 chainfs=$2 file=$3 result=$4 transport=$5 command=()

	# ThreadSanitizer needs its shadow where address randomisation may have put something else.
	[ "$flavour" = tsan ] && setarch -R true 2>/dev/null && command=(setarch -R)
	case $file in
	*.sh)
		if [ ! -x "$chainfs" ]; then
			echo "the program is not built" > "$result.out"
			echo 77 > "$result.rc"
			return
		fi
		command=(env CHAINFS="$PWD/${chainfs#"$PWD/"}" FLAVOUR="$flavour" "$file")
		[ "${chainfs#/}" = "$chainfs" ] || command[1]="CHAINFS=$chainfs"
		[ "$transport" != uring ] || command=(tests/support/uring "${command[@]}")
		;;
	*/fuzz_*)
		local corpus=tests/fuzz/corpus/${file##*/fuzz_}
		if [ ! -d "$corpus" ]; then
			echo "no corpus at $corpus" > "$result.out"
			echo 77 > "$result.rc"
			return
		fi
		command+=("$file" -runs=0 -verbosity=0 "$corpus")
		;;
	*)
		# shellcheck disable=SC2206 # words of a command
		command+=($TEST_WRAP "$file")
		;;
	esac
	local rc limit=$TEST_TIMEOUT_S TIMEFORMAT="%R %U %S"
	case $file in *tests/slow/*) limit=$SLOW_TIMEOUT_S ;; esac
	{
		time CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 "$limit" "${command[@]}" \
			> "$result.out" 2>&1 < /dev/null
		rc=$?
	} 2> "$result.took"
	echo $rc > "$result.rc"
	tail -n 1 "$result.took" | awk -v name="$flavour $file" '{ printf "%8.2f %8.2f %s\n", $1, $2 + $3, name }' \
		> "$result.time"
}

# A script says so in its last line; a program in comments, beside the tests that it skipped.
why_skipped() # OUT
{
	if grep -qaiE '^(not )?ok\b' "$1"; then
		grep -aiE '# skip|^# ' "$1" | grep -avE '^# (TEST_SEED|ok|not ok)' |
			head -n 4 | paste -sd ' '
	else
		tail -n 1 "$1"
	fi
}

if [ "$1" = --one ]; then
	shift
	run_one "$@"
	exit 0
fi

results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT

flavour=release chainfs=build/chainfs transport=classic count=0
: > "$results/programs"
: > "$results/scripts"
: > "$results/alone"
while [ $# -gt 0 ]; do
	case $1 in
	--flavour) flavour=$2; shift 2; continue ;;
	--chainfs) chainfs=$2; shift 2; continue ;;
	--transport) transport=$2; shift 2; continue ;;
	esac
	list=$results/programs
	case $1 in *.sh) list=$results/scripts ;; esac
	case $1 in *.sh) ! grep -q '^# alone: ' "$1" && [ $transport = classic ] || list=$results/alone ;; esac
	result=$results/$(printf %05d $count)
	printf '%s\0%s\0%s\0%s\0%s\0' "$flavour" "$chainfs" "$1" "$result" "$transport" >> "$list"
	echo "$flavour $([ $transport = classic ] || echo "$transport ")$1" > "$result.name"
	count=$((count + 1))
	shift
done
xargs -0 -r -n 5 -P "$TEST_JOBS" "$0" --one < "$results/programs"
xargs -0 -r -n 5 -P "$TEST_JOBS" "$0" --one < "$results/scripts"
xargs -0 -r -n 5 "$0" --one < "$results/alone"

passed=0 failed=0 skipped=0
for name_file in "$results"/*.name; do
	[ -e "$name_file" ] || break
	result=${name_file%.name}
	name=$(cat "$name_file")
	rc=$(cat "$result.rc" 2>/dev/null || echo 99)
	out=$result.out
	skips=$(grep -aciE '^(not )?ok\b.*# skip' "$out")
	oks=$(grep -aiE '^ok\b' "$out" | grep -vciE '# skip')
	fails=$(grep -aiE '^not ok\b' "$out" | grep -vciE '# skip')
	plan=$(awk '/^1\.\.[0-9]+/ { n += substr($1, 4) } END { print n + 0 }' "$out")
	why=
	if [ "$rc" = 77 ] && [ "$fails" = 0 ]; then
		[ $((oks + skips)) -gt 0 ] || skips=1
	elif [ "$rc" != 0 ] && [ "$fails" = 0 ]; then
		fails=1
		why="ended with status $rc"
		[ "$rc" = 124 ] && why="took too long"
	elif [ "$plan" -gt $((oks + fails + skips)) ]; then
		fails=$((fails + 1))
		why="planned $plan tests, ran $((oks + fails + skips - 1))"
	elif [ $((oks + fails + skips)) = 0 ]; then
		case $name in
		*.sh | */fuzz_*) oks=1 ;;
		*) fails=1; why="ran no test" ;;
		esac
	fi
	passed=$((passed + oks)) failed=$((failed + fails)) skipped=$((skipped + skips))
	if [ "$fails" -gt 0 ]; then
		echo "---- FAILED: $name${why:+ ($why)}"
		cat "$out"
	elif [ "$skips" -gt 0 ]; then
		echo "skipped: $name: $(why_skipped "$out")"
	fi
done

if [ "${TEST_TIMES:-0}" = 1 ]; then
	cat "$results"/*.time | sort -rn
fi

total="$passed passed, $failed failed"
[ "$skipped" -gt 0 ] && total="$total, $skipped skipped"
if [ $((passed + failed)) = 0 ]; then
	echo "nothing ran"
	failed=1
fi
echo "$total"
[ "$failed" = 0 ]
