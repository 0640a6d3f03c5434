# Sourced by the *.build.sh scripts, which build a tool once for this machine and run in this directory.
# CACHE is where tools go; WORK is scratch. Needs flock (util-linux) and a go of any age, 1.19 on.
set -eu
umask 022

CACHE=${CACHE:-/var/cache/warmci/tools}
# A go from 1.21 on fetches the toolchain that a module asks for by itself.
export GOTOOLCHAIN=auto GOWORK=off

say() { echo "== $*"; }

# tool NAME: all that follows makes $WORK/out, unless NAME is in the cache already. One build at a time: a second
# caller waits and finds it done.
tool() {
    target=$CACHE/$1
    [ ! -e "$target" ] || exit 0
    mkdir -p "$CACHE"
    exec 9>"$CACHE/.lock"
    flock 9
    [ ! -e "$target" ] || exit 0
    command -v go >/dev/null || { echo "error: go is missing (Debian: golang-go)" >&2; exit 3; }
    WORK=$CACHE/.build
    rm -rf "$WORK" && mkdir "$WORK"
    trap 'rm -rf "$WORK"' EXIT
    trap 'exit 1' HUP INT TERM
}

# says WORDS COMMAND...: what was built runs and is what it should be.
says() {
    words=$1
    shift
    said=$("$@") || :
    case $said in *"$words"*) ;; *) echo "error: $* does not say '$words' but: $said" >&2; exit 1 ;; esac
}

# finish: whole or not at all.
finish() {
    find "$WORK/out" -exec sync {} +
    mv "$WORK/out" "$target"
    say "$target"
}
