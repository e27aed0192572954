#!/bin/sh
# Copies everything that Fediflattr must keep into one archive: the data folder with the embedded database and
# the master key, and the settings. Installed as /etc/cron.daily/fediflattr; the service pauses while it runs.
# The archives hold secrets: they are readable by root only. Copy them to another machine, encrypted.
#
# backup.sh [FOLDER-FOR-ARCHIVES [ROOT-OF-THE-SYSTEM]]
set -eu
umask 0077
target=${1:-/var/backups/fediflattr}
root=${2:-/}
mkdir -p "$target"
archive=$target/fediflattr-$(date -u +%Y-%m-%dT%H%M%SZ).tar.gz

# A database that is copied while it writes cannot be trusted, so the service stops, and starts again whatever happens.
if systemctl is-active --quiet fediflattr; then
	trap 'systemctl start fediflattr' EXIT
	trap 'exit 1' HUP INT TERM
	systemctl stop fediflattr
fi
set -- var/lib/fediflattr
[ ! -d "$root/etc/fediflattr" ] || set -- "$@" etc/fediflattr
tar --create --gzip --file "$archive.part" --directory "$root" "$@"
mv "$archive.part" "$archive"

# Two weeks are kept.
find "$target" -maxdepth 1 -name 'fediflattr-*.tar.gz' -mtime +14 -delete
