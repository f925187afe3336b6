#!/bin/bash
# The tools people have, through a real mount: what they copy is the same, what they compare is
# equal, and what they repeat has nothing to do.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on || exit 1
shared= # only root may without a line in fuse.conf, and only root tries what others may
[ "$(id -u)" != 0 ] || shared="-o allow_other"
mount_store "$T/st" "$T/mnt" $shared || exit 1
N=$T/mnt/$NET
R=0000000000-0000000999
S=$N/legacy/shards/1/at/200
D=$N/hyper/blocks/$R/0000000100

have() { command -v "$1" > /dev/null || { ok "$1 is not here # SKIP"; return 1; }; }
copied() { # SENTENCE FOLDER: is it the state that was copied, with its times?
	same "$1: the same files" "$(diff -r "$S" "$2" 2>&1 | head -n 3)" ""
	same "$1: the same times" "$(cd "$2" && find . -type f -printf '%p %T@\n' | sort | sha256sum)" \
		"$(cd "$S" && find . -type f -printf '%p %T@\n' | sort | sha256sum)"
	chmod -R u+w "$2"
}

# ---- copies ----

mkdir "$T"/{tar,rsync,cp,cpio,work}
tar -C "$S" -cf "$T/s.tar" . && tar -C "$T/tar" -xf "$T/s.tar"
copied tar "$T/tar"
same "tar says nothing" "$(tar -C "$S" -cf - . 2>&1 > /dev/null)" ""
same "the same archive twice" "$(tar --sort=name -C "$S" -cf - . | sha256sum)" \
	"$(tar --sort=name -C "$S" -cf - . | sha256sum)"
same "tar --compare sees no difference" "$(tar -C "$S" -df "$T/s.tar" 2>&1)" ""
if have rsync; then
	rsync -a "$S/" "$T/rsync/"
	same "a second rsync -aX has nothing to do" \
		"$(rsync -aXi "$S/" "$T/rsync/" | grep -v '^\.[fd]\.\.\.\.\.\.\.\.x ')" ""
	same "nor rsync --checksum" "$(rsync -aXic "$S/" "$T/rsync/")" ""
	copied rsync "$T/rsync"
fi
cp -a "$S/." "$T/cp/"
copied "cp -a" "$T/cp"
if have cpio; then
	(cd "$S" && find . -depth -print0 | cpio -0 --quiet -pdm "$T/cpio" 2>&1)
	copied cpio "$T/cpio"
fi

# ---- looking ----

middle=$N/legacy/blocks/$R/0000000150
index=$N/legacy/blocks/$R/index.tsv
same "find -newer: what is newer than block 150" \
	"$(find "$N/legacy/blocks/$R" -mindepth 1 -maxdepth 1 -type d -newer "$middle" | wc -l)" \
	"$(awk -F'\t' '$1 ~ /^0/ { print $3 }' "$index" |
		awk -v at="$(awk -F'\t' '$1 == "0000000150" { print $3 }' "$index")" '$1 > at' | wc -l)"
same "find -size: blocks of one size" \
	"$(find "$N/legacy/blocks/$R/" -name block.pb -size "$(stat -c %s "$D/block.pb")c" | wc -l)" \
	"$(awk -F'\t' -v n="$(stat -c %s "$D/block.pb")" '$5 == n' "$index" | wc -l)"
same "du --apparent-size is the sum of sizes" "$(du -s --apparent-size -B1 "$S" | cut -f 1)" \
	"$(find "$S" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')"
same "grep -r counts what cat and grep count" "$(grep -rho '"fid"' "$S" | wc -l)" \
	"$(find "$S" -type f -exec cat {} + | grep -o '"fid"' | wc -l)"
have rg &&
	same "ripgrep finds what grep finds" "$(rg -l --no-ignore --hidden castAdd "$S" | sort)" \
	"$(grep -rl castAdd "$S" | sort)"
same "diff -r of a place and itself" "$(diff -r "$D" "$N/legacy/blocks/100")" ""
check "diff -r of the two contexts says what was retained" says "Only in $N/hyper/at/200" \
	diff -r "$N/legacy/at/200" "$N/hyper/at/200"
have getfattr && check "getfattr -d" says 'user.chain.height="100"' getfattr -d --absolute-names "$D"
same "ls -R and find agree" "$(cd "$S" && ls -RA . | grep -c '[^:]$')" "$(cd "$S" && find . -mindepth 1 | wc -l)"
check "sha256sum -c of a copy" \
	sh -c "cd '$S' && find . -type f -print0 | xargs -0 sha256sum > '$T/sums' &&
		cd '$T/tar' && sha256sum --quiet -c '$T/sums'"

# ---- git ----

if have git; then
	git_of() { git -C "$T/work" -c user.name=x -c user.email=x -c safe.directory='*' "$@"; }
	git_of init -q .
	git_of --work-tree="$S" add -A . > "$T/git.out" 2>&1
	same "git add of the mount's folder" "$(git_of ls-files | wc -l)" "$(find "$S" -type f | wc -l)"
	same "git finds nothing changed" "$(git_of --work-tree="$S" diff --stat)" ""
	git_of commit -qm one > /dev/null
	git_of --work-tree="$N/hyper/shards/1/at/200" add -A . > "$T/git.out" 2>&1
	check "and what hyper has more" test "$(git_of diff --cached --name-only --diff-filter=A | wc -l)" -gt 0
fi

# ---- mounts on top ----

if [ "$(id -u)" = 0 ]; then
	mkdir "$T"/{over,bound} && mkdir -p "$T"/layers/{ext4,ext4work}
	overlay() { mount -t overlay overlay -o "lowerdir=$S,upperdir=$1,workdir=$2" "$T/over"; }
	mkdir "$T/tmpfs" && mount -t tmpfs tmpfs "$T/tmpfs" && mkdir "$T"/tmpfs/{up,work}
	for upper in layers/ext4 tmpfs/up; do
		work=$T/${upper%/*}/work
		[ "$upper" = tmpfs/up ] || work=$T/layers/ext4work
		if overlay "$T/$upper" "$work" 2> "$T/overlay.err"; then
			file=$(cd "$S" && find . -name root | sort | head -n 1)
			same "an overlay shows what is below" "$(diff -r "$S" "$T/over" | head -n 3)" ""
			check "and can be written ($upper)" \
				sh -c "echo more >> '$T/over/$file' && echo x > '$T/over/new'"
			same "what was written is the copy's" "$(tail -n 1 "$T/over/$file")" more
			check "what is below stays" sh -c "! grep -q more '$S/$file'"
			check "a folder can go" rm -rf "$T/over/accounts"
			check "it stays below" test -d "$S/accounts"
			umount "$T/over"
		else
			not_ok "an overlay on top ($upper): $(cat "$T/overlay.err")"
		fi
	done
	umount "$T/tmpfs"
	mount --bind "$S" "$T/bound" && mount -o remount,bind,ro "$T/bound"
	same "a read-only bind mount shows the same" "$(diff -r "$S" "$T/bound" | head -n 3)" ""
	check "and is read-only" says 'Read-only' touch "$T/bound/x"
	umount "$T/bound"
fi
if unshare -Urm true 2> /dev/null; then
	chmod 755 "$T"
	same "in a user namespace the same is there" \
		"$(unshare -Urm sh -c "cat '$D/header'" | sha256sum)" "$(sha256sum < "$D/header")"
	check "and can be bound elsewhere" \
		unshare -Urm sh -c "mkdir '$T/ns' && mount --bind '$S' '$T/ns' && test -d '$T/ns/accounts'"
	same "find sees all of it" "$(unshare -Urm find "$S" | wc -l)" "$(find "$S" | wc -l)"
else
	ok "user namespaces are not for us # SKIP"
fi
check "when all of that is over it unmounts" unmount "$T/mnt"
