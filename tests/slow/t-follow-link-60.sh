#!/bin/bash
# A node's link is cut for a minute, twice.
CUT=60 exec "$(dirname "$0")/../mount/t-follow-link.sh"
