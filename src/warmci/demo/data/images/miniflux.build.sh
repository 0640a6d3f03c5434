. ./common.sh
. ./small.sh

module=miniflux.app/v2

# A module is found by its version in the cache: `go install` needs a version listing that this one lacks.
directory() { sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p'; }

# The distribution's go may be older than the module asks for: the proxy serves toolchains as modules.
newer_go() {
    say "go toolchain $1"
    tools=$(go mod download -json "golang.org/toolchain@v0.0.1-go$1.$(go env GOOS)-$(go env GOARCH)" | directory)
    [ -n "$tools" ] || { echo "go toolchain $1 is not to be had" >&2; exit 1; }
    cp -r "$tools" "$WORK/go" && chmod -R u+wx "$WORK/go"
    PATH="$WORK/go/bin:$PATH"
}

source_tree() {
    say "module $module@v$VERSION"
    found=$(cd / && go mod download -json "$module@v$VERSION" | directory)
    [ -n "$found" ] || { echo "$module v$VERSION is not to be had" >&2; exit 1; }
    rm -rf "$WORK/source" && cp -r "$found" "$WORK/source" && chmod -R u+w "$WORK/source"
}

compile() (
    cd "$WORK/source"
    wanted=$(sed -n 's/^go //p' go.mod)
    have=$(go version | sed 's/^go version go\([0-9.]*\).*/\1/')
    case $wanted in *.*.*) ;; *) wanted=$wanted.0 ;; esac
    if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then newer_go "$wanted"; fi
    say "compiling with $(go version)"
    CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false \
        -ldflags "-s -w -X $module/internal/version.Version=$VERSION" -o "$WORK/miniflux" .
)

source_tree
compile
small_tree
tree=$WORK/tree
rm -rf "$tree" && cp -a "$WORK/small" "$tree"
install -m 755 "$WORK/miniflux" "$tree/usr/bin/miniflux"
pack "$tree"
