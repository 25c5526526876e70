#!/bin/sh
# Score every study that arrives below a folder, again and again; what was scored before is not scored again.
#   infer/score_incoming.sh INCOMING RESULTS [SECONDS]
# A study counts as one folder, .zip or NIfTI file directly below INCOMING: move it in whole, do not copy it in place.
set -u
incoming="$1" results="$2" pause="${3:-60}"
while true; do
  cacseg batch "$incoming" -o "$results" || echo "some studies could not be scored; see $results/cohort.csv" >&2
  sleep "$pause"
done
