. ./common.sh
. ./small.sh
. ./go.sh

name=miniflux.app/v2
source=$WORK/source
tree=$WORK/tree

# Copied, as `go install` needs a version listing that this module lacks.
module "$name" "v$VERSION" "$source"
enough_go "$source"
(
    cd "$source"
    CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false \
        -ldflags "-s -w -X $name/internal/version.Version=$VERSION" -o "$WORK/miniflux" .
)
small_tree
rm -rf "$tree" && cp -a "$WORK/small" "$tree"
install -m 755 "$WORK/miniflux" "$tree/usr/bin/miniflux"
pack "$tree"
