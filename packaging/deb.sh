#!/bin/bash
# Makes a Debian package of what `make install-program` installs.
#
#     packaging/deb.sh BUILD      prints the path of the package in that folder

set -euo pipefail
cd "$(dirname "$0")/.."

build=$1
root=$build/deb/root
version=$(sed -n 's/.*TIDEMARK_VERSION "\(.*\)".*/\1/p' exporter/version.h)
architecture=$(dpkg --print-architecture)

rm -rf "$build/deb"
mkdir -p "$root/DEBIAN" "$build/deb/debian"
umask 022

${MAKE:-make} --no-print-directory -s install-program install-dashboards install-alerts BUILD="$build" \
    DESTDIR="$root" PREFIX=/usr SYSTEMD_UNITS=/lib/systemd/system ZSH_COMPLETIONS=/usr/share/zsh/vendor-completions
install -d "$root/etc/tidemark" "$root/etc/default"
install -m 644 packaging/tidemark.yaml "$root/etc/tidemark/tidemark.yaml"
install -m 644 packaging/tidemark.default "$root/etc/default/tidemark"
mv "$root/usr/share/doc/tidemark/LICENSE" "$root/usr/share/doc/tidemark/copyright"
gzip -9n "$root/usr/share/man/man1/tidemark.1"
strip --remove-section=.comment --remove-section=.note "$root/usr/bin/tidemark"

# What the program is linked with, in versions that have what it uses. The tool wants a source package around it.
printf 'Source: tidemark\n\nPackage: tidemark\nArchitecture: any\n' >"$build/deb/debian/control"
depends=$(cd "$build/deb" && dpkg-shlibdeps -O -e root/usr/bin/tidemark 2>/dev/null | sed -n 's/^shlibs:Depends=//p')

cat >"$root/DEBIAN/control" <<CONTROL
Package: tidemark
Version: $version
Architecture: $architecture
Maintainer: The Tidemark developers <tidemark@localhost>
Section: net
Priority: optional
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: $depends, passwd
Description: consumer-lag monitor for Kafka and for its own log store
 Tidemark watches consumer groups: how far behind they are in messages and in
 seconds, whether they are stuck, stopped, falling behind or only replaying, and
 what is lost or about to be. It serves all of it as Prometheus metrics and as
 a page for people, and comes with Grafana dashboards and alerts.
CONTROL
(cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$root/DEBIAN/conffiles"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
install -m 755 packaging/debian/* "$root/DEBIAN"

dpkg-deb --root-owner-group --build "$root" "$build" >/dev/null
echo "$build/tidemark_${version}_$architecture.deb"
