# The tree that busybox and miniflux start from.
small_tree() {
    [ -e "$WORK/small.done" ] && return
    rm -rf "$WORK/small"
    extract "$WORK/small" busybox-static,ca-certificates,tzdata
    furnish "$WORK/small"
    trust "$WORK/small"
    # Everything in it is static: no C library, no openssl.
    (cd "$WORK/small" && rm -rf lib lib32 lib64 libx32 usr/lib usr/sbin/update-ca-certificates usr/bin/openssl \
        usr/bin/c_rehash usr/share/ca-certificates)
    touch "$WORK/small.done"
}
