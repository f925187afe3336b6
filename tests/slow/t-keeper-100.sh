#!/bin/bash
# A hundred kill -9 of the process that serves, under eight looping readers.
KILLS=100 exec "$(dirname "$0")/../mount/t-keeper.sh"
