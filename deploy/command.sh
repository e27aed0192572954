#!/bin/sh
# Runs a command of Fediflattr as the service does: same user, same settings, same data.
# Installed as /usr/local/bin/fediflattr; needs root, or the user `fediflattr` itself.
set -eu
umask 0077
# Plain `su` leaves the system's folders out.
PATH=$PATH:/usr/sbin:/sbin
cd /opt/fediflattr
set -- env NODE_ENV=production FEDIFLATTR_BUNDLE=1 DATA_DIR=/var/lib/fediflattr \
	node_modules/.bin/node --env-file-if-exists=/etc/fediflattr/environment bin/fediflattr.js "$@"
[ "$(id -un)" = fediflattr ] || set -- runuser -u fediflattr -- "$@"
exec "$@"
