. ./common.sh

tree=$WORK/tree

distribution() {
    say "keycloak $VERSION"
    mvn -q -B dependency:copy -DoutputDirectory="$WORK" \
        -Dartifact="org.keycloak:keycloak-quarkus-dist:$VERSION:tar.gz"
    mkdir -p "$tree/opt"
    tar -C "$tree/opt" -xzf "$WORK/keycloak-quarkus-dist-$VERSION.tar.gz"
    mv "$tree/opt/keycloak-$VERSION" "$tree/opt/keycloak"
    rm "$WORK/keycloak-quarkus-dist-$VERSION.tar.gz"
}

java_home() {
    home=$(cd "$tree" && ls -d usr/lib/jvm/java-[0-9][0-9]-openjdk-*)
    ln -s "/$home" "$tree/usr/lib/jvm/java"
    ln -sf /usr/lib/jvm/java/bin/java "$tree/usr/bin/java"
}

# Without a truststore Keycloak refuses to boot; the package makes it in a script that was not run.
truststore() {
    mkdir -p "$tree/etc/ssl/certs/java"
    (cd "$tree" && for file in usr/share/ca-certificates/mozilla/*.crt; do echo "+/$file"; done) |
        chroot "$tree" java -XX:TieredStopAtLevel=1 -jar /usr/share/ca-certificates-java/ca-certificates-java.jar \
            -storepass changeit
    [ -s "$tree/etc/ssl/certs/java/cacerts" ]
}

# Done here so that a boot skips it; `start` does it again where the settings differ.
augment() {
    say "kc.sh build"
    chroot --userspec=1000:0 "$tree" env HOME=/opt/keycloak JAVA_HOME=/usr/lib/jvm/java \
        KC_DB=dev-file KC_HEALTH_ENABLED=true JAVA_OPTS_APPEND=-XX:TieredStopAtLevel=1 /opt/keycloak/bin/kc.sh build
}

distribution &
download=$!
extract "$tree.java" openjdk-17-jre-headless,busybox-static,bash,tzdata,ca-certificates
wait $download
mv "$tree/opt" "$tree.java/opt" && rmdir "$tree" && mv "$tree.java" "$tree"
furnish "$tree"
trust "$tree"
account "$tree" keycloak 1000 0 /opt/keycloak
mount --rbind /proc "$tree/proc" && mount --bind /dev "$tree/dev"
java_home
truststore
mkdir -p "$tree/opt/keycloak/data"
chown -R 1000:0 "$tree/opt/keycloak"
augment
umount "$tree/dev" && umount -l "$tree/proc"
rm -rf "$tree"/usr/share/ca-certificates* "$tree"/tmp/*
pack "$tree"
