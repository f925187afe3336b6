#!/bin/bash
# A stopped daemon, and who comes second.
exec "$(dirname "$0")/../faults/stop.sh"
