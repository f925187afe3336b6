#!/bin/bash
# kill -9 at random moments of an import, a compaction and a pin: a few; tests/slow has the
# thousand.
KILLS=${KILLS:-6} exec "$(dirname "$0")/../faults/kill.sh"
