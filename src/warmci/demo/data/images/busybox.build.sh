. ./common.sh
. ./small.sh

small_tree
found=$("$WORK/small/bin/busybox" | sed -n '1s/^BusyBox v\([0-9]*\.[0-9]*\)\..*/\1/p')
[ "$found" = "$VERSION" ] || { echo "the distribution has busybox $found, not $VERSION" >&2; exit 1; }
pack "$WORK/small"
