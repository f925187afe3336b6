#!/bin/bash
# Refuses an include that points upward: mount-helpers -> fs, net -> core -> proto -> core/base.
# fs and net never know each other; what touches the world is kept where it belongs.
cd "$(dirname "$0")/.." || exit 1

find core fs net proto mount-helpers -name '*.[ch]' 2>/dev/null | LC_ALL=C sort | xargs -r awk '
function layer(path)
{
	if (path ~ /^core\/base\//)     return "base"
	if (path ~ /^proto\//)          return "proto"
	if (path ~ /^core\//)           return "core"
	if (path ~ /^fs\//)             return "fs"
	if (path ~ /^net\//)            return "net"
	if (path ~ /^mount-helpers\//)  return "mount-helpers"
	return ""
}
function refuse(why)
{
	printf "%s:%d: %s: %s\n", FILENAME, FNR, name, why
	bad++
}
BEGIN {
	below["base"]          = " base "
	below["proto"]         = " base proto "
	below["core"]          = " base proto core "
	below["fs"]            = " base proto core fs "
	below["net"]           = " base proto core net "
	below["mount-helpers"] = " base proto core fs net mount-helpers "
}
FNR == 1 { files++; own = layer(FILENAME) }
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, part, "\""); name = part[2]; other = layer(name)
	if (other == "")
		refuse("an include is written from the root of the tree")
	else if (index(below[own], " " other " ") == 0)
		refuse(own " may not know " other)
}
/^[ \t]*#[ \t]*include[ \t]*</ {
	split($0, part, /[<>]/); name = part[2]
	if ((name ~ /^(uv|netdb|libwebsockets|sys\/socket|sys\/un)\.h$/ ||
	     name ~ /^(uv|nghttp2|gnutls|curl|netinet|arpa)\//) && own != "net")
		refuse("sockets live in net/ alone")
	if (name ~ /^(fuse3\/|linux\/)?fuse(_[a-z]*)?\.h$/ && own != "fs")
		refuse("FUSE lives in fs/ alone")
	if (name ~ /^rocksdb\// && FILENAME != "core/store/db.c")
		refuse("RocksDB lives in core/store/db.c alone")
}
END {
	if (bad) {
		printf "layers: %d includes refused\n", bad
		exit 1
	}
	printf "layers: %d files, every arrow points down\n", files
}'
