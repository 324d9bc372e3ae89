#!/bin/bash
# Clustering alone: the x-vectors of a real meeting, with the segments of the reference, against the output that the
# system which made them published. Fails when AHC and VBx together, from 40 clusters (VBx only takes away), are worse; the other rows
# show what that number means.
#   clustering.sh BUILD_FOLDER
set -eu
cd "$(dirname "$0")/../.."
build=$1
data=${MOTET_DATA:-../shared/data}/clustering
if [ ! -d "$data" ]; then
    echo "clustering: skipped, no x-vectors in $data: set MOTET_DATA"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
folder=$data/ami_ES2005a name=ES2005a
speakers=$(awk '{ print $8 }' "$folder/reference_only_words.rttm" | sort -u | wc -l)
cluster() { # METHOD CLUSTERS
    "$build/tests/cluster_xvectors" "$folder" "$name" "$1" "$2" >"$work/$1$2"
}

# Columns of `motet score --format csv`: scored, missed, false alarm and confusion in seconds, DER and JER in percent.
row() { # WHAT RTTM
    "$build/motet" score --format csv "$folder/reference_only_words.rttm" "$2" | tail -1 |
        awk -F, -v what="$1" '{ printf "%-44s %8d %8.2f %8.2f %10.2f %7.2f %7.2f\n", what, $16, 100 * $6 / $5, 100 * $7 / $5, 100 * $8 / $5, $9, $10 }'
}
printf '%-44s %8s %8s %8s %10s %7s %7s\n' "$name, collar 0, overlap scored, %" speakers missed "f.alarm" confusion DER JER
row "published output" "$folder/$name.rttm" | tee "$work/published.row"
cluster ahc "$speakers"
row "AHC, number of speakers given" "$work/ahc$speakers"
for clusters in 10 15 20 30 40; do
    cluster vbx $clusters
    row "AHC + VBx from $clusters clusters" "$work/vbx$clusters" | tee "$work/vbx$clusters.row"
done
theirs=$(awk '{ print $(NF - 1) }' "$work/published.row") ours=$(awk '{ print $(NF - 1) }' "$work/vbx40.row")
awk -v ours="$ours" -v theirs="$theirs" 'BEGIN { exit !(ours <= theirs) }' || { echo "clustering: worse than published"; exit 1; }
