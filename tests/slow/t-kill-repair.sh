#!/bin/bash
# kill -9 inside a repair: fewer than the others, each store is mended, filled and compared.
KILLS=${KILLS:-40} MODE=repair BOUND=${BOUND:-280} exec "$(dirname "$0")/../faults/kill.sh"
