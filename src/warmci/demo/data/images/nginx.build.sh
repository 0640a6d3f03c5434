. ./common.sh

tree=$WORK/tree
extract "$tree" nginx-light,busybox-static
furnish "$tree"
account "$tree" nginx 101 101 /nonexistent
found=$(chroot "$tree" nginx -v 2>&1 | sed -n 's,^nginx version: nginx/\([0-9]*\.[0-9]*\)\..*,\1,p')
[ "$found" = "$VERSION" ] || { echo "the distribution has nginx $found, not $VERSION" >&2; exit 1; }
cp nginx.conf "$tree/etc/nginx/nginx.conf"
(cd "$tree" && rm -rf etc/nginx/sites-* etc/nginx/modules-* etc/nginx/conf.d usr/bin/perl* usr/lib/*/libperl* usr/lib/*/libdb-* \
        usr/lib/systemd lib/systemd
    mkdir -p etc/nginx/conf.d var/cache/nginx var/log/nginx
    ln -sf /dev/stdout var/log/nginx/access.log
    ln -sf /dev/stderr var/log/nginx/error.log)
pack "$tree"
