#!/bin/bash
# Manual pages and completions say all that the tables say, and the shells take them.
. "$(dirname "$0")/../support/lib.bash"

P=$T/papers
check "they are written" exits 0 "$CHAINFS" papers "$P" "$TESTS/../docs/man/parts"
check "a folder that cannot be made is said" says "No such file" "$CHAINFS" papers "$T/no/such"
check "a verb that is hidden is in none" sh -c "! grep -l forge '$P'/*"

# What help lists: "config show" and the like, by the blanks behind it.
"$CHAINFS" help | sed -n '/^usage/,/^chainfs VERB/p' | grep '^  [a-z]' | sed 's/^  //; s/\(.\{13\}[^ ]*\) .*/\1/' |
	sed 's/ *[A-Z[].*//; s/  .*//; s/ *$//' > "$T/verbs"
check "there are verbs" test "$(wc -l < "$T/verbs")" -gt 12

# ---- manual pages ----
missing=
while read -r verb; do
	page=$P/chainfs-${verb// /-}.1.scd
	[ -s "$page" ] || missing="$missing $page"
	# shellcheck disable=SC2086
	for option in $("$CHAINFS" $verb --help < /dev/null | grep -o '^ .*--[a-z-]*  *' | grep -o -- '--[a-z-]*'); do
		grep -q "\*$option\*" "$page" || missing="$missing $verb:$option"
	done
	grep -q "chainfs-${verb// /-}\*(1)" "$P/chainfs.1.scd" || missing="$missing overview:$verb"
done < "$T/verbs"
same "every verb has a page with every option, and a line in the overview" "$missing" ""
missing=
for key in $("$CHAINFS" config show | cut -f 1); do
	sed 's/\\//g' "$P/chainfs.yaml.5.scd" | grep -q "^\*$key\*$" || missing="$missing $key"
done
same "every setting is in chainfs.yaml(5)" "$missing" ""
missing=
for option in $("$CHAINFS" mount --help | sed -n '/^mount options/,$p' | grep '^  [a-z]' |
	sed 's/^ *\([a-z_]*\).*/\1/'); do
	for page in mount.chainfs.8 chainfs-mount.1; do
		sed 's/\\//g' "$P/$page.scd" | grep -q "^\*$option=\{0,1\}\*" || missing="$missing $page:$option"
	done
done
same "every mount option is in chainfs-mount(1) and mount.chainfs(8)" "$missing" ""
missing=
for code in 0 1 2 3 4 5 6 8 32 74; do
	grep -q "^\*$code\*$" "$P/chainfs.1.scd" || missing="$missing $code"
done
same "every exit code is in chainfs(1)" "$missing" ""
missing=
while read -r path; do
	sed 's/\\//g' "$P/chainfs-tree.7.scd" | grep -qF "*${path%/}* (" || missing="$missing $path"
done < <(sed -n '/{lane}\/\|^[a-z{]/p' "$TESTS/golden/README.txt" |
	grep -E '(fixed|settling|flowing) ' | awk '{ print $1 }')
same "every row of the tree is in chainfs-tree(7)" "$missing" ""

if command -v scdoc > /dev/null; then
	bad=
	for page in "$P"/*.scd; do
		scdoc < "$page" > "${page%.scd}" 2> "$T/said" || bad="$bad ${page##*/}: $(cat "$T/said")"
	done
	same "scdoc takes every page" "$bad" ""
	if command -v groff > /dev/null; then
		said=$(for page in "$P"/*.[1-8]; do groff -k -ww -man -Tutf8 -z "$page" 2>&1; done)
		same "groff has nothing to say to any" "$said" ""
		said=$(groff -k -man -Tutf8 -P-c -P-u -P-b "$P/chainfs-import.1")
		check "and shows what is in the table" grep -q -- '--range \[SHARD:\]FIRST-LAST' <(echo "$said")
	else
		echo "ok - groff shows the pages # skip there is no groff"
	fi
else
	echo "ok - scdoc takes every page # skip there is no scdoc"
fi

# ---- completions ----
mkdir "$T/here" "$T/here/archive" "$T/here/store"
touch "$T/here/plain.yaml"
cd "$T/here" || exit 1

# bash_gives LINE: what the last word of it may become, sorted; a line that ends in a blank begins a
# word.
bash_gives() {
	bash --norc -c '
		source "$1"
		COMP_LINE=$2 COMP_WORDS=()
		read -ra COMP_WORDS <<< "${2//=/ = }"
		[[ $2 == *[\ =] ]] && COMP_WORDS+=("")
		[[ $2 == *= ]] && unset "COMP_WORDS[-1]"
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_chainfs
		printf "%s\n" "${COMPREPLY[@]}"' bash "$P/chainfs.bash" "$1" | sort | paste -sd ' '
}
fish_gives() {
	fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$P/chainfs.fish" "$1" |
		cut -f 1 | sort | paste -sd ' '
}
# A shell of its own behind a terminal: a widget prints what completion found instead of showing it.
zsh_gives() {
	zsh -f "$T/zsh-gives" "$P" "$1" 2>&1 | sort -u | paste -sd ' '
}
cat > "$T/zsh-gives" << 'EOF'
zmodload zsh/zpty || exit 1
cat > $TMPDIR/rc << 'RC'
PS1= ; unsetopt beep zle_bracketed_paste 2> /dev/null; unset zle_bracketed_paste
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' list-grouped false
zstyle ':completion:*' force-list always
compadd() {
	if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
	local -a __found
	builtin compadd -A __found "$@"
	print -rl -- $__found >> $FOUND
	builtin compadd "$@"
}
finish() { print -r done >> $FOUND; exit }
zle -N finish
bindkey '^I' complete-word '^X' finish
print -r -- re""ady
RC
export FOUND=$TMPDIR/found
: > $FOUND
zpty shell "FPATH=$1:\$FPATH ZDOTDIR=/nonexistent zsh -f -i"
zpty -w shell "fpath=($1 \$fpath); source $TMPDIR/rc"
zpty -r shell line '*ready*' || exit 1
zpty -n -w shell "$2"$'\t'$'\x18'
repeat 500; do
	grep -q '^done$' $FOUND && break
	sleep 0.02
done
zpty -d shell
grep -vx 'done\|' $FOUND
EOF
export TMPDIR=$T

try_shell() { # bash | zsh | fish
	local gives=$1_gives subject
	subject=$(awk 'NF == 2 { print $1 }' "$T/verbs" | head -n 1)
	same "$1: a verb" "$($gives 'chainfs imp')" "import"
	same "$1: all verbs" "$($gives 'chainfs ' | tr ' ' '\n' | grep -v '^--' | paste -sd ' ')" \
		"$(awk '{ print $1 }' "$T/verbs" | sort -u | paste -sd ' ')"
	same "$1: the second word of a verb" "$($gives "chainfs $subject ")" \
		"$(awk -v s="$subject" '$1 == s && NF == 2 { print $2 }' "$T/verbs" | sort | paste -sd ' ')"
	same "$1: options of a verb, and no others" "$($gives 'chainfs import --tr')" "--trust-archive"
	same "$1: none of another verb" "$($gives 'chainfs import --laz')" ""
	same "$1: options of a verb of two words" "$($gives 'chainfs config show --or')" "--origin"
	same "$1: what an option may be" "$($gives 'chainfs import --hyper ')" "off on"
	same "$1: behind an equals sign" "$($gives 'chainfs import --hyper=of' | sed 's/--hyper=//')" "off"
	same "$1: settings" "$($gives 'chainfs mount --set hyper.en')" "hyper.enabled="
	same "$1: a folder as store" "$($gives 'chainfs status s' | tr -d /)" "store"
	same "$1: no file as store" "$($gives 'chainfs status pl' | tr -d /)" ""
	same "$1: the second word, behind an option with argument" \
		"$($gives 'chainfs import --network x store ar' | tr -d /)" "archive"
	same "$1: a file" "$($gives 'chainfs config check pl')" "plain.yaml"
	same "$1: a file as argument" "$($gives 'chainfs import --config pl')" "plain.yaml"
	same "$1: a network whose parameters are known" "$($gives 'chainfs presets far')" "farcaster"
	same "$1: verbs to be helped with" "$($gives 'chainfs help verif')" "verify"
	same "$1: nothing behind the last word" "$($gives 'chainfs status store ')" ""
}

for shell in bash zsh fish; do
	if command -v $shell > /dev/null; then
		try_shell $shell
	else
		echo "ok - completions of $shell # skip there is no $shell"
	fi
done
