#!/bin/bash
# I/O errors, aborts, and a disk that goes away below readers.
# alone: mounts disks
exec "$(dirname "$0")/../faults/failstop.sh"
