#!/bin/bash
# The Debian package on a bare system: it builds without a complaint of lintian, installs, mounts from fstab,
# reads, unmounts, and leaves nothing behind but stores when it is purged.
#
#   CHAINFS_DEB_MIRROR   where debootstrap and apt fetch (default: http://deb.debian.org/debian)
#   CHAINFS_DEB_SUITE    default: bookworm
#   CHAINFS_DEB_APT      a folder that is laid over /etc/apt of the bare system, for other sources, keys, proxies
#   CHAINFS_DEB_BARE     a bare system that debootstrap made earlier; it is not changed
#   CHAINFS_DEB_BUILD    a folder with a package that `make deb` made (build/deb); else one is made
#
# In a mount namespace of its own, so that whatever happens nothing stays mounted.
if [ "$(id -u)" = 0 ] && [ "${1-}" != inside ]; then
	unshare -m true 2> /dev/null || { echo "no mount namespace can be made here"; exit 77; }
	exec unshare -m --propagation private "$0" inside
fi
. "$(dirname "$0")/../support/lib.bash"

[ "$(id -u)" = 0 ] || skip "only root can make a bare system"
[ -c /dev/fuse ] || skip "there is no /dev/fuse here"
for tool in debootstrap dpkg-buildpackage dh lintian; do
	command -v $tool > /dev/null || skip "$tool is not installed"
done
mirror=${CHAINFS_DEB_MIRROR:-http://deb.debian.org/debian}
suite=${CHAINFS_DEB_SUITE:-bookworm}
bare=${CHAINFS_DEB_BARE:-$T/bare}
root=$T/root
export DEBIAN_FRONTEND=noninteractive

if [ ! -d "$bare/etc" ]; then
	mkdir -p "$bare"
	debootstrap --variant=minbase "$suite" "$bare" "$mirror" > "$T/debootstrap.log" 2>&1 ||
		skip "no bare system can be made here: $(tail -n 1 "$T/debootstrap.log")"
fi

# ---- the package ----

built=${CHAINFS_DEB_BUILD:-}
if ! ls "$built"/chainfs_*.changes > /dev/null 2>&1; then
	built=$T/build/deb
	check "make deb builds it" env -u MAKEFLAGS -u MAKELEVEL make -C "$TESTS/.." deb BUILD="$T/build"
fi
deb=$(echo "$built"/chainfs_*_*.deb)
[ -f "$deb" ] || { not_ok "there is a package"; exit 1; }
for file in "$built"/chainfs_*.changes "$deb"; do
	same "lintian has nothing to say about ${file##*/}" \
		"$(lintian --allow-root --fail-on none "$file" 2>&1 | grep '^[EW]:')" ""
done
same "helpers are in the one place where mount(8) looks" \
	"$(dpkg-deb -c "$deb" | awk '/sbin\/.*chainfs/ { print $6 }' | sort | tr '\n' ' ')" \
	"$(printf './usr/sbin/%s ' mount.chainfs mount.fuse.chainfs \
		umount.chainfs umount.fuse.chainfs)"

# ---- the bare system ----

mkdir -p "$T/upper" "$T/work" "$root"
mount -t overlay none -o "lowerdir=$bare,upperdir=$T/upper,workdir=$T/work" "$root" ||
	skip "no overlay can be made here"
# Devices of its own: what a package does to /dev is not done to the machine's.
mount -t proc none "$root/proc"
mount -t tmpfs none "$root/dev"
mount -t tmpfs none "$root/run"
mkdir "$root/dev/pts" "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
while read -r name major minor; do
	mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done <<-END
	null 1 3
	zero 1 5
	full 1 7
	random 1 8
	urandom 1 9
	tty 5 0
	fuse 10 229
END
[ -e "$root/etc/mtab" ] || ln -s /proc/self/mounts "$root/etc/mtab" # as on every system that has started once
cp /etc/resolv.conf "$root/etc/resolv.conf"
[ -z "${CHAINFS_DEB_APT:-}" ] || cp -r "$CHAINFS_DEB_APT/." "$root/etc/apt/"
cp "$deb" "$root/root/"

at() { # a command in the bare system
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive \
		chroot "$root" "$@"
}
ours() { # what is there of us, but stores
	find "$root" -xdev -name '*chainfs*' ! -path "$root/proc/*" ! -path "$root/root/*" ! -path "$root/srv/*" |
		sed "s|^$root||" | sort
}
is_mounted() {
	at grep -q " $1 fuse.chainfs ro," /proc/mounts
}
is_not_mounted() {
	! is_mounted "$1"
}

same "nothing of ours is there" "$(ours)" ""
at apt-get update -q > "$T/apt.log" 2>&1 || skip "apt cannot fetch here: $(tail -n 1 "$T/apt.log")"
check "apt installs it, with what it needs" at apt-get install -y --no-install-recommends "/root/${deb##*/}"
check "the program starts" at chainfs version
check "it makes a store" at chainfs demo --no-mount --quiet /srv/demo
at mkdir /mnt/x
echo "/srv/demo/store /mnt/x chainfs _netdev,nofail,noauto,x-systemd.automount,allow_other 0 0" >> "$root/etc/fstab"
check "fstab's line mounts it" at mount /mnt/x
check "it is mounted" is_mounted /mnt/x
check "and reads" at grep -q . /mnt/x/README /mnt/x/demo/status /mnt/x/demo/head/header
check "others read, too" at setpriv --reuid=65534 --regid=65534 --clear-groups cat /mnt/x/README
check "umount, which says who is inside" says "it has open /mnt/x/README" at sh -c 'exec < /mnt/x/README; umount /mnt/x'
check "umount" at umount /mnt/x
check "nothing is mounted" is_not_mounted /mnt/x
check "the store is free" at chainfs status /srv/demo/store
check "an ordinary user mounts it, too" at sh -c '
	mkdir /srv/own && cp -r /srv/demo/store /srv/own/store && mkdir /srv/own/mnt && chown -R nobody /srv/own &&
	exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "
		chainfs mount /srv/own/store /srv/own/mnt && test -s /srv/own/mnt/demo/head/header &&
		chainfs umount /srv/own/mnt"'
check "mount -t fuse.chainfs mounts it" at mount -t fuse.chainfs /srv/demo/store /mnt/x
pid=$(sed -n 's/.*pid \([0-9][0-9]*\).*/\1/p' "$root/srv/demo/store/lock")
check "purging takes the package away" at apt-get purge -y chainfs
check "but nobody's mount" at test -s /mnt/x/README
check "umount works without us" at umount -i /mnt/x
check "then the daemon ends" eventually 10 is_gone "$pid"

# What a person may have made for services goes with a purge.
at mkdir -p /etc/chainfs /etc/systemd/system/multi-user.target.wants
check "apt installs it again" at apt-get install -y --no-install-recommends "/root/${deb##*/}"
at ln -s /lib/systemd/system/chainfs@.service /etc/systemd/system/multi-user.target.wants/chainfs@main.service
at sh -c 'echo OPTIONS=ro > /etc/chainfs/main.env'
check "removing it keeps what a person wrote" at apt-get remove -y chainfs
check "it is there" at test -f /etc/chainfs/main.env
check "purging does not" at apt-get purge -y chainfs
same "nothing of ours is left" "$(ours)" ""
check "but the store" at test -f /srv/demo/store/chainfs-store
