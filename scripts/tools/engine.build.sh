# A current engine: Debian 12 ships 20.10, people run 27 to 29. A directory, to be put first in dockerd's PATH.
. ./tool.sh
. ./go.sh
. ./engine.versions

tool "engine-$moby"

# compile NAME VERSION CGO TAGS LDFLAGS PACKAGE...
compile() {
    module "$1" "$2" "$WORK/source"
    enough_go "$WORK/source"
    cgo=$3 tags=$4 ldflags=$5
    shift 5
    mkdir -p "$WORK/out"
    (
        cd "$WORK/source"
        CGO_ENABLED=$cgo go build -mod=readonly -trimpath -buildvcs=false -tags "$tags" -ldflags "-s -w $ldflags" \
            -o "$WORK/out/" "$@"
    )
}

# containerd first: it asks for the newest go of the three. Without cri, which is Kubernetes' and half of it.
name=github.com/containerd/containerd/v2
compile "$name" "v$containerd" 0 "no_btrfs no_cri no_devmapper no_zfs urfave_cli_no_docs" \
    "-X $name/version.Version=v$containerd" ./cmd/containerd ./cmd/containerd-shim-runc-v2
# Where dockerd finds no containerd it shall say so: by itself it would go on with an experimental one inside.
name=github.com/moby/moby/v2
compile "$name" "v$moby" 1 no_embedded_containerd "-X $name/dockerversion.Version=$moby" ./cmd/dockerd ./cmd/docker-proxy
compile github.com/opencontainers/runc "v$runc" 1 "seccomp urfave_cli_no_docs" "" .

out=$WORK/out
says " $moby," "$out/dockerd" --version
says " $moby" "$out/docker-proxy" --version
says " v$containerd" "$out/containerd" --version
says "v$containerd" "$out/containerd-shim-runc-v2" -v
says "runc version $runc" "$out/runc" --version
says "libseccomp:" "$out/runc" --version
finish
