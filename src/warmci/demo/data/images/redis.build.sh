. ./common.sh

tree=$WORK/tree
extract "$tree" redis-server,busybox-static
furnish "$tree"
account "$tree" redis 999 999 /data
(cd "$tree" && rm -rf usr/lib/systemd lib/systemd usr/bin/perl* usr/lib/*/libperl* usr/lib/*/libdb-*)
found=$(chroot "$tree" redis-server --version | sed -n 's/.* v=\([0-9]*\.[0-9]*\)\..*/\1/p')
[ "$found" = "$VERSION" ] || { echo "the distribution has redis $found, not $VERSION" >&2; exit 1; }
install -d -o 999 -g 999 "$tree/data"
pack "$tree"
