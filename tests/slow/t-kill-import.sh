#!/bin/bash
# A third of a thousand kill -9.
KILLS=${KILLS:-334} MODE=import BOUND=${BOUND:-280} exec "$(dirname "$0")/../faults/kill.sh"
