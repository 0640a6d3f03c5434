. ./common.sh
. ./go.sh

name=github.com/traefik/traefik/v3
source=$WORK/source
tree=$WORK/tree

# The DNS providers of ACME (a hundred clouds' clients) are 80 of 180 MB: none here, as no certificate is ever asked
# for.
no_dns_providers() {
    user=$source/pkg/provider/acme/provider.go
    sed -i "s#\"github.com/go-acme/lego/v4/providers/dns\"#\"$name/pkg/nodns\"#" "$user"
    grep -q "\"$name/pkg/nodns\"" "$user"
    mkdir "$source/pkg/nodns"
    cat >"$source/pkg/nodns/dns.go" <<'END'
package dns

import (
	"errors"

	"github.com/go-acme/lego/v4/challenge"
)

func NewDNSChallengeProviderByName(string) (challenge.Provider, error) {
	return nil, errors.New("built without DNS providers")
}
END
}

module "$name" "v$VERSION" "$source"
no_dns_providers
# The dashboard is built with npm and not part of the module; the embedded directory must not be empty.
mkdir -p "$source/webui/static"
echo '<!doctype html><title>no dashboard</title>' >"$source/webui/static/index.html"
enough_go "$source"
(
    cd "$source"
    CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false \
        -ldflags "-s -w -X $name/pkg/version.Version=$VERSION" -o "$WORK/traefik" ./cmd/traefik
)

# Static: it needs nothing else but a place for temporary files.
rm -rf "$tree"
install -d -m 755 "$tree" "$tree/usr" "$tree/usr/local" "$tree/usr/local/bin"
install -d -m 1777 "$tree/tmp"
install -m 755 "$WORK/traefik" "$tree/usr/local/bin/traefik"
pack "$tree"
