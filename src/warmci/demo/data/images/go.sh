# Sourced after common.sh by what is built from Go modules. Needs a go of any age, 1.19 on; WORK is scratch.

# A go from 1.21 on fetches the toolchain that a module asks for by itself; told not to, it even refuses to download
# such a module.
export GOTOOLCHAIN=auto GOWORK=off

# downloaded MODULE VERSION: its directory in the cache. From / so that no go.mod about here has a say.
downloaded() {
    if told=$(cd / && go mod download -json "$1@$2"); then
        printf '%s\n' "$told" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p'
    else
        echo "$1 $2 is not to be had: $(printf '%s\n' "$told" | sed -n 's/^[[:space:]]*"Error": //p')" >&2
        return 1
    fi
}

# module NAME VERSION TREE: a copy to build in.
module() {
    say "module $1 $2"
    found=$(downloaded "$1" "$2")
    rm -rf "$3" && cp -r "$found" "$3" && chmod -R u+w "$3"
}

# enough_go TREE: on PATH, one that the module in TREE accepts. An older go (Debian 12 has 1.19) is helped: the proxy
# serves toolchains as modules, whose files are not executable in go's cache.
enough_go() {
    wanted=$(sed -n 's/^go \([0-9.]*\).*/\1/p' "$1/go.mod")
    case $wanted in *.*.*) ;; *) wanted=$wanted.0 ;; esac
    have=$(cd "$1" && go version | sed 's/^go version go\([0-9.]*\).*/\1/')
    if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then
        if [ ! -e "$WORK/go$wanted" ]; then
            say "go toolchain $wanted"
            tools=$(downloaded golang.org/toolchain "v0.0.1-go$wanted.$(go env GOOS)-$(go env GOARCH)")
            cp -r "$tools" "$WORK/go$wanted.part" && chmod -R u+wx "$WORK/go$wanted.part"
            mv "$WORK/go$wanted.part" "$WORK/go$wanted"
        fi
        PATH=$WORK/go$wanted/bin:$PATH
    fi
    say "compiling with $(cd "$1" && go version)"
}
