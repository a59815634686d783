#!/bin/sh
# Install Debian packages without starting the services they bring: Orthanc would listen on every address of this host.
# Debian's way to say so is a policy-rc.d that answers 101 to every start; it is removed again if it was made here.
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
