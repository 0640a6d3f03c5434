. ./common.sh

# Debian's Python with what pip finds in requirements.txt: shared by the versions.
python_tree() {
    [ -e "$WORK/python.done" ] && return
    tree=$WORK/python
    packages "$WORK/packages" &
    found=$!
    extract "$tree" python3-minimal,libpython3-stdlib,busybox-static,ca-certificates,tzdata
    furnish "$tree"
    trust "$tree"
    ln -s python3 "$tree/usr/bin/python"
    account "$tree" docs 1001 1001 /app
    wait $found
    mkdir -p "$tree/usr/local/lib/python3.11"
    mv "$WORK/packages" "$tree/usr/local/lib/python3.11/dist-packages"
    # Perl and openssl's command came along as dependencies.
    (cd "$tree" && rm -rf usr/share/ca-certificates usr/share/python3 usr/bin/perl* usr/lib/*/libperl* \
        usr/lib/*/libdb-* usr/bin/openssl usr/lib/python3.11/lib2to3 usr/lib/python3.11/pydoc_data)
    # Its user may not write byte code, and each process would compile for itself.
    chroot "$tree" python3 -m compileall -q -j 2 /usr/lib/python3.11 /usr/local/lib/python3.11
    touch "$WORK/python.done"
}

# For the tree's Python, not for the builder's. Pages and maps of Django that nothing shows are left out.
packages() {
    say "packages of requirements.txt"
    machine=$(uname -m)
    rm -rf "$1"
    pip3 install --quiet --no-compile --no-cache-dir --root-user-action=ignore --target "$1" --no-deps \
        --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 --abi abi3 \
        --platform "manylinux2014_$machine" --platform "manylinux_2_17_$machine" \
        --platform "manylinux_2_28_$machine" -r lasuite-docs/requirements.txt
    (cd "$1" && rm -rf bin django/contrib/gis django/contrib/admin/static)
    find "$1/django" "$1/rest_framework" -path '*/locale/*' ! -path '*/en/*' -name '*.[mp]o' -delete
}

python_tree
tree=$WORK/python
rm -rf "$tree/app" && mkdir "$tree/app"
printf '%s\n' lasuite-docs/*.*.* | sort -V | while read -r version; do
    if [ "$(printf '%s\n%s\n' "${version#*/}" "$VERSION" | sort -V | tail -n 1)" = "$VERSION" ]; then
        cp -R "$version/." "$tree/app/"
    fi
done
find "$tree/app" -name __pycache__ -prune -exec rm -r {} +
chroot "$tree" python3 -m compileall -q /app
# Everything is there, and the migrations make what the models say.
chroot "$tree" env DJANGO_SETTINGS_MODULE=impress.settings DJANGO_CONFIGURATION=Production DJANGO_SECRET_KEY=none \
    sh -c 'cd /app && python3 -W ignore -B manage.py makemigrations --check --dry-run && python3 -m gunicorn --version'
pack "$tree"
