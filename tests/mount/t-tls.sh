#!/bin/bash
# A node behind TLS: followed when its certificate is trusted, else a sentence says what is in the
# way.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/../peers/lib.bash"
command -v openssl > /dev/null || skip "openssl is not here, and makes the certificate"

mkdir "$T/tls" "$T/mnt"
openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
	-keyout "$T/tls/key.pem" -out "$T/tls/cert.pem" 2> /dev/null
cp "$ARCHIVE/network.json" "$T/network.json"
peer_start node --archive "$ARCHIVE" --host localhost --tls-cert "$T/tls/cert.pem" --tls-key "$T/tls/key.pem" || exit 1
port=${PEER_PORTS[node]}

follow() { # STORE SCHEME OPTION…
	local store=$1 scheme=$2
	shift 2
	rm -f "$T/ctl_of.mnt"
	"$CHAINFS" mount "$scheme://localhost:$port" "$T/mnt" --network $NET \
		--config "$T/network.json" -o "store=$store" "$@"
}

says() { # PATTERN: the source, of its last fault
	grep -q "$1" "$T/mnt/$NET/sources/localhost-$port/last_error"
}

arrives() { # HEIGHT
	[ -d "$T/mnt/$NET/legacy/blocks/$1" ]
}

follow "$T/trusted" grpcs --set "sync.ca_file=$T/tls/cert.pem" || exit 1
check "with its authority its blocks come" eventually 20 arrives 273
unmount "$T/mnt"

follow "$T/unknown" grpcs || exit 1
check "without it nothing is asked, and the certificate is named" eventually 20 says "[cC]ertificate"
check "and nothing came" test -z "$(ls "$T/mnt/$NET/legacy/blocks")"
unmount "$T/mnt"

follow "$T/clear" grpc || exit 1
check "who takes it for cleartext is told" eventually 20 says "the address begins with grpcs://"
unmount "$T/mnt"

check "a path is one from / on" exits 1 "$CHAINFS" config show "$T/trusted" --set sync.ca_file=cert.pem
check "and the sentence says so" grep -q "a path from / on" \
	<("$CHAINFS" config show "$T/trusted" --set sync.ca_file=cert.pem 2>&1)
