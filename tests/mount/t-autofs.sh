#!/bin/bash
# An automounter mounts a store when somebody looks: the helper may not wait for the folder that it
# mounts on.
. "$(dirname "$0")/lib.bash"

[ "$(id -u)" = 0 ] || skip "only root can be an automounter"
command -v python3 > /dev/null || skip "python3, which is the automounter here, is not installed"
grep -qw autofs /proc/filesystems || skip "the kernel has no autofs"
unshare -m true 2> /dev/null || skip "no mount namespace can be made here"

import_vectors "$T/st" || exit 1
mkdir "$T/mnt"
ln -s "$CHAINFS" "$T/mount.chainfs"

# An automounter of one folder (protocol 5, direct): the first look at it starts the command, in the
# automounter's own process group, and goes on once that ended.
cat > "$T/automount.py" <<'END'
import ctypes, fcntl, os, struct, subprocess, sys
at, command = sys.argv[1], sys.argv[2:]
os.setpgid(0, 0)
asked, told = os.pipe()
os.set_inheritable(told, True)
libc = ctypes.CDLL(None, use_errno=True)
options = "fd=%d,pgrp=%d,minproto=5,maxproto=5,direct" % (told, os.getpgrp())
if libc.mount(b"test", at.encode(), b"autofs", 0, options.encode()):
    sys.exit("autofs: " + os.strerror(ctypes.get_errno()))
root = os.open(at, os.O_RDONLY)
os.close(told)
print("waiting", flush=True)
while True:
    packet = os.read(asked, 304)
    if not packet:
        break
    version, kind, token = struct.unpack("=iiI", packet[:12])
    code = subprocess.call(command)
    print("mounted" if code == 0 else "failed", flush=True)
    fcntl.ioctl(root, 0x9360 if code == 0 else 0x9361, token)  # AUTOFS_IOC_READY, AUTOFS_IOC_FAIL
END
cat > "$T/inside" <<-END
	mount --make-rprivate /
	python3 "$T/automount.py" "$T/mnt" "$T/mount.chainfs" "$T/st" "$T/mnt" -o ro > "$T/said" 2>&1 &
	automounter=\$!
	for try in \$(seq 500); do
		grep -q . "$T/said" && break
		sleep 0.02
	done
	grep -q waiting "$T/said" || { cat "$T/said"; exit 77; }
	timeout 20 cat "$T/mnt/$NET/head/header" > "$T/header"
	echo \$? > "$T/code"
	awk -v at="$T/mnt" '\$2 == at { print \$3 }' /proc/self/mounts > "$T/types"
	umount "$T/mnt"
	kill \$automounter
END
unshare -m bash "$T/inside" > "$T/inside.out" 2>&1
[ $? != 77 ] || skip "no autofs can be mounted here: $(cat "$T/inside.out")"
same "whoever looks gets the mount" "$(cat "$T/code")" 0
check "and what is in it" grep -q . "$T/header"
same "which stands on the automounter's folder" "$(tr '\n' ' ' < "$T/types")" "autofs fuse.chainfs "
check "the helper ended well" grep -q mounted "$T/said"
check "the daemon ends with the mount" eventually 10 "$CHAINFS" status "$T/st"
