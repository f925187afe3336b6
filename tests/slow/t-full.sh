#!/bin/bash
# Full disks below everything.
# alone: mounts disks
FS=${FS:-ext4} exec "$(dirname "$0")/../faults/full.sh"
