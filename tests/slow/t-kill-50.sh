#!/bin/bash
# More than fifty kill -9 at random moments of an import, each import resumed to the same state.
KILLS=${KILLS:-17} exec "$(dirname "$0")/../cli/t-kill.sh"
