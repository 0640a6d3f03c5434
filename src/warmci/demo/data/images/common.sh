# Sourced by the *.build.sh scripts. They run as root in mount and PID namespaces of their own, with
# VERSION, WORK (scratch, shared by the versions of one image) and OUT (the tar to make) in the environment.
set -eu
# The builder's own umask would close directories of the image to its users.
umask 022

suite=bookworm

say() { echo "== $*"; }

# extract TREE PACKAGES: the packages and what they depend on, unpacked without running their scripts.
extract() {
    say "packages: $2"
    rm -rf "$1"
    mmdebstrap --variant=extract --include="$2" "$suite" "$1"
}

# furnish TREE: what the scripts of the packages would have made, and shell tools where none are.
furnish() {
    (
        cd "$1"
        mkdir -p bin sbin dev etc/ssl/certs proc root run sys tmp usr/bin usr/sbin usr/local/bin var/tmp
        chmod 1777 tmp var/tmp
        rm -rf var/run && ln -s /run var/run
        printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >etc/passwd
        printf 'root:x:0:\nnogroup:x:65534:\n' >etc/group
        printf 'hosts: files dns\npasswd: files\ngroup: files\n' >etc/nsswitch.conf
        ln -sfn /usr/share/zoneinfo/UTC etc/localtime
        bin/busybox --list-full | while read -r applet; do
            name=${applet##*/}
            [ -e "bin/$name" ] || [ -e "sbin/$name" ] || [ -e "usr/bin/$name" ] || [ -e "usr/sbin/$name" ] ||
                ln -s /bin/busybox "$applet"
        done
        rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/i18n usr/share/info usr/share/fonts \
            usr/share/perl usr/share/perl5 usr/share/zsh usr/share/bash-completion usr/share/lintian \
            usr/lib/*/perl usr/lib/*/perl-base usr/lib/*/perl5 usr/lib/*/gconv var/cache/apt var/lib/apt var/lib/dpkg
    )
}

# trust TREE: the bundle of certificate authorities, as update-ca-certificates makes it.
trust() {
    cat "$1"/usr/share/ca-certificates/mozilla/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"
}

account() { # account TREE NAME UID GID HOME
    echo "$2:x:$3:$4::$5:/bin/sh" >>"$1/etc/passwd"
    grep -q "^[^:]*:x:$4:" "$1/etc/group" || echo "$2:x:$4:" >>"$1/etc/group"
}

pack() {
    tar --numeric-owner --one-file-system -C "$1" -cf "$OUT" .
    say "packed"
}
