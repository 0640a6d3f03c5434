. ./common.sh

tree=$WORK/tree
# `adduser`, perl and the just-in-time compiler come along as dependencies and are dropped again.
extract "$tree" "postgresql-$VERSION,busybox-static,tzdata,gosu,bash"
furnish "$tree"
account "$tree" postgres 999 999 /var/lib/postgresql
cd "$tree"
rm -rf usr/lib/postgresql/*/lib/bitcode usr/lib/postgresql/*/lib/llvmjit* usr/lib/*/libLLVM* usr/lib/*/libz3* \
    usr/lib/llvm* usr/lib/systemd lib/systemd usr/share/postgresql-common
conf=usr/share/postgresql/$VERSION/postgresql.conf.sample
sed -i "s/^#*listen_addresses = .*/listen_addresses = '*'/; s/^#*jit = on.*/jit = off/" "$conf"
grep -q "^listen_addresses = '\*'" "$conf"
rm -rf var/lib/postgresql
install -d -m 755 docker-entrypoint-initdb.d
install -d -m 1777 -o 999 -g 999 var/lib/postgresql var/lib/postgresql/data
install -d -m 3775 -o 999 -g 999 run/postgresql
ln -s "/usr/lib/postgresql/$VERSION" usr/lib/postgresql/current
cd "$OLDPWD"
install -m 755 postgres.entry.sh "$tree/usr/local/bin/docker-entrypoint.sh"
pack "$tree"
