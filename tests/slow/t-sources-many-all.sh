#!/bin/bash
# Every lie that the node of tests/peers knows, among four sources.
MODES=all exec "$(dirname "$0")/../mount/t-sources-many.sh"
