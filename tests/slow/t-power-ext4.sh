#!/bin/bash
# Fifty power cuts on ext4.
# alone: mounts disks
CUTS=${CUTS:-50} FS=ext4 BOUND=${BOUND:-280} exec "$(dirname "$0")/../faults/power.sh"
