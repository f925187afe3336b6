#!/bin/bash
# Reads that fail, no descriptors left, little memory, clocks that jump, archives that are damaged:
# an error with a sentence, nothing false stored, and everything as before once the fault is over.
. "$(dirname "$0")/../support/lib.bash"
archive=$VECTORS/devnet-a
reader=${READ_TREE:-$(dirname "$CHAINFS")/release/tests/faults/read_tree}
[ -x "$reader" ] || reader=$(dirname "$CHAINFS")/tests/faults/read_tree
[ -x "$reader" ] || skip "read_tree is not built: make test-programs"
FLAVOUR=${FLAVOUR:-release}

"$CHAINFS" forge "$T/a" --seed 5 --blocks 60 --messages 300 --accounts 8 --quiet || exit 1
"$CHAINFS" import "$T/s" "$T/a" --hyper on --quiet > "$T/out" || exit 1
NET=$(sed -n 's/:.*//p' "$T/out" | head -n 1)
tree() { "$reader" "$@" | grep -v '/status	\|^/status\|/segments'; } # segments: as blocks came
tree "$T/s" | sort > "$T/right"

# right_or_errors FILE: every line of it is as it was, or an errno that says that it could not be
# read.
right_or_errors() {
	! grep -vxFf "$T/right" "$1" | grep -v '	!\(5\|74\|12\|24\|61\)\b' | head -n 3 | grep .
}

# ---- EIO ----
if [ "$FLAVOUR" = release ] &&
	${CC:-cc} -shared -fPIC -o "$T/eio.so" "$TESTS/faults/preload/eio.c" -ldl 2> "$T/cc"; then
	cut -f1 "$T/right" > "$T/paths"
	for file in .seg .sst; do
		for every in 1 3; do
			LD_PRELOAD=$T/eio.so EIO_PATH=$file EIO_EVERY=$every \
				EIO_FROM=$([ $file = .seg ] && echo 0 || echo 20) \
				"$reader" "$T/s" "@$T/paths" > "$T/got" 2> /dev/null
			check "every $every. read of *$file fails: right bytes or an error" right_or_errors "$T/got"
		done
		check "*$file: some of it did fail" grep -q '	!5' "$T/got"
	done
	LD_PRELOAD=$T/eio.so EIO_PATH=.seg EIO_EVERY=3 "$CHAINFS" fsck "$T/s" > "$T/got" 2>&1
	check "fsck names blocks that cannot be read" grep -q 'Input/output' "$T/got"
	check "and nothing is wrong once they can" "$CHAINFS" fsck "$T/s"
	tree "$T/s" | sort > "$T/after"
	check "every place reads as before" cmp "$T/right" "$T/after"
else
	ok "no reads are made to fail here # SKIP a release build and a compiler"
fi

# ---- descriptors ----
for n in 64 20; do
	(ulimit -n $n && "$CHAINFS" import "$T/fd$n" "$T/a" --quiet) > "$T/got" 2>&1
	code=$?
	check "with $n descriptors an import ends well, or with a sentence" \
		sh -c "[ $code = 0 ] || grep -q 'chainfs import: .' '$T/got'"
	check "and goes on when there are more" "$CHAINFS" import "$T/fd$n" "$T/a" --quiet
	check "with nothing wrong" "$CHAINFS" fsck "$T/fd$n"
done

# ---- memory ----
if [ "$FLAVOUR" = release ]; then
	(ulimit -v $((1024 * 1024)) &&
		"$CHAINFS" import "$T/m" "$archive" --hyper on --quiet --set limits.cache=64MiB) \
		> "$T/got" 2>&1
	code=$?
	check "an import within a gibibyte of addresses ends well, or with a sentence" \
		sh -c "[ $code = 0 ] || { cat '$T/got'; grep -q 'chainfs' '$T/got'; }"
	"$CHAINFS" import "$T/m" "$archive" --hyper on --quiet > /dev/null
	check "and the store is whole" "$CHAINFS" fsck "$T/m"
	check "resident memory of an import stays below 512 MB" python3 - "$CHAINFS" "$T/rss" "$archive" << 'P'
import resource, subprocess, sys
subprocess.run([sys.argv[1], "import", sys.argv[2], sys.argv[3], "--hyper", "on", "--quiet"],
               check=True, stdout=subprocess.DEVNULL)
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(f"{most} KB")
sys.exit(most > 512 * 1024)
P
fi

# ---- clocks ----
if [ "$FLAVOUR" = release ] && ${CC:-cc} -shared -fPIC -o "$T/clock.so" "$TESTS/faults/preload/clock.c" 2> "$T/cc"; then
	for off in -86400 86400 315360000 -315360000; do
		rm -rf "$T/c"
		check "an import by a clock that is $off seconds off ends well" \
			env LD_PRELOAD="$T/clock.so" CLOCK_OFF=$off timeout 60 "$CHAINFS" import \
			"$T/c" "$T/a" --hyper on --quiet
		LD_PRELOAD=$T/clock.so CLOCK_OFF=$off "$reader" "$T/c" |
			grep -v '/status	\|^/status\|/segments' | sort > "$T/got"
		check "and every place reads the same, by that clock" cmp "$T/right" "$T/got"
	done
else
	ok "no clock is turned here # SKIP a release build and a compiler"
fi

# ---- a damaged archive ----
cp -r "$T/a" "$T/bad"
stream=$(ls "$T"/bad/chunks-1.pbs*)
damage() { # PYTHON
	cp "$T"/a/chunks-1.pbs* "$T/bad/"
	python3 -c "
import sys
p = '$stream'
b = bytearray(open(p, 'rb').read())
$1
open(p, 'wb').write(b)"
	rm -rf "$T/d"
	"$CHAINFS" import "$T/d" "$T/bad" --hyper on --quiet > "$T/said" 2>&1
	code=$?
}
whole_again() {
	"$CHAINFS" import "$T/d" "$T/a" --quiet > /dev/null && tree "$T/d" | sort | cmp - "$T/right"
}
for at in 5; do
	damage "b[len(b) * $at // 9] ^= 16"
	check "a flip in a stream: exit code 4" test "$code" = 4
	check "nothing false is stored" "$CHAINFS" fsck "$T/d"
	check "the right archive makes it whole" whole_again
done
damage "b = b[:len(b) // 2]"
check "a stream that ends early: a sentence with its file and offset" grep -q 'chunks-1.pbs.*[0-9]' "$T/said"
check "and what is missing comes with the right one" whole_again
if command -v zstd > /dev/null; then
	rm -f "$stream"
	stream=$T/bad/chunks-1.pbs.zst
	head -c $((1 << 30)) /dev/zero | zstd -q -1 -o "$stream"
	rm -rf "$T/d"
	(ulimit -v $((2 * 1024 * 1024)); "$CHAINFS" import "$T/d" "$T/bad" --hyper on --quiet) > "$T/said" 2>&1
	check "a frame that unpacks to a gibibyte of nothing is refused with a sentence" \
		grep -q 'chunks-1.pbs' "$T/said"
	check "and what is missing comes with the right one" whole_again
fi
echo "1..$tests_run"
exit $((tests_failed > 0))
