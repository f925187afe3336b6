#!/bin/bash
# Three hundred kill -9 of who follows a node.
KILLS=${KILLS:-300} exec "$(dirname "$0")/../mount/t-follow-kills.sh"
