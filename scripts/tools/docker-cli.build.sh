# The Docker CLI that reads recipes and deploys them: Debian 12 has 20.10, which has no `stack config`, Debian 13 has 26,
# which reads YAML otherwise (src/warmci/base/docker_cli.py). 29.9.3 asks for a module that is not served.
. ./tool.sh
. ./go.sh

version=29.7.2
tool "docker-$version"

# Not a Go module to go: its go.mod goes by another name.
source=$WORK/source
module github.com/docker/cli "v$version+incompatible" "$source"
rm -rf "$source/vendor"
mv "$source/vendor.mod" "$source/go.mod"
mv "$source/vendor.sum" "$source/go.sum"

enough_go "$source"
cd "$source"
CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false \
    -ldflags "-s -w -X github.com/docker/cli/cli/version.Version=$version" -o "$WORK/out" ./cmd/docker
says " $version," "$WORK/out" --version
finish
