#!/bin/bash
# Fifty power cuts on xfs.
# alone: mounts disks
CUTS=${CUTS:-50} FS=xfs BOUND=${BOUND:-280} exec "$(dirname "$0")/../faults/power.sh"
