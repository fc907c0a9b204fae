#!/bin/sh
# The canary of the queue exec.
printf '{"ok":true}'
