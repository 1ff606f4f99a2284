#!/bin/sh
# Makes a base image from Debian packages, for machines that reach a Debian mirror but not the
# registry that has Airbyte's base image. It has what the Dockerfile relies on: Python with venv,
# certificates and the user `airbyte` (uid 1000). For tests only: it is never published.
#
# The mirror, the certificates and pip's settings are this machine's, so that a machine behind a
# proxy or with a package index of its own can build. Prints the image's tag on stdout.
set -eu

tag=source-kustomer-standin-base:bookworm
suite=bookworm
inputs_label=source-kustomer.standin.inputs

say() { echo "stand-in base image: $*" >&2; }
fail() { say "$*"; exit 1; }

command -v docker >/dev/null || fail "the docker command is missing"
command -v apt-get >/dev/null || fail "only a Debian machine can make it"

# apt itself reads its configuration, whichever format that is in. Other vendors' repositories
# are told apart by their path, suite or component; debootstrap knows only these schemes.
mirror=$(
    # shellcheck disable=SC2016 # apt replaces these, not the shell.
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk '$1 ~ /^(https?|file):/ && $1 ~ /\/debian(\/|$)/ && $3 == "main" &&
             $2 ~ /^(bullseye|bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)$/ {
                 print $1; exit }'
)
[ -n "$mirror" ] || fail "apt's configuration names no Debian mirror"

certificates=/etc/ssl/certs/ca-certificates.crt
for bundle in "${PIP_CERT:-}" "${REQUESTS_CA_BUNDLE:-}" "${SSL_CERT_FILE:-}"; do
    if [ -n "$bundle" ] && [ -f "$bundle" ]; then
        certificates=$bundle
        break
    fi
done
pip_configuration=
for file in "${PIP_CONFIG_FILE:-}" "${HOME:-/root}/.config/pip/pip.conf" "${HOME:-/root}/.pip/pip.conf" \
    /etc/pip.conf; do
    if [ -n "$file" ] && [ -f "$file" ]; then
        pip_configuration=$file
        break
    fi
done

inputs=$(
    {
        cat "$0"
        echo "$mirror"
        [ ! -f "$certificates" ] || cat "$certificates"
        [ -z "$pip_configuration" ] || cat "$pip_configuration"
        env | grep -E '^PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)=' | sort
    } | sha256sum | cut -d ' ' -f 1
)
existing=$(docker image inspect --format "{{ index .Config.Labels \"$inputs_label\" }}" "$tag" \
    2>/dev/null || true)
if [ "$existing" = "$inputs" ]; then
    say "$tag is current"
    echo "$tag"
    exit 0
fi

[ "$(id -u)" = 0 ] || fail "only root can make it (debootstrap needs chroot)"
if ! command -v debootstrap >/dev/null; then
    say "installing debootstrap"
    {
        apt-get update
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends debootstrap
    } >&2 || fail "debootstrap could not be installed"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root

say "Debian $suite from $mirror"
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    "$suite" "$root" "$mirror" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; fail "debootstrap failed"; }

ln -s python3 "$root/usr/bin/python"
chroot "$root" useradd --uid 1000 --user-group --create-home --home-dir /airbyte \
    --shell /usr/sbin/nologin airbyte
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc "$root"/usr/share/man

# The rest hands the package index's settings and trusted certificates to whatever is installed.
bundle_inside=/etc/ssl/certs/ca-certificates.crt
[ ! -f "$certificates" ] || cp "$certificates" "$root$bundle_inside"
if [ -n "$pip_configuration" ]; then
    # A certificate's path on this machine means nothing inside; the environment has the bundle's.
    grep -v -E '^[[:space:]]*cert[[:space:]]*=' "$pip_configuration" >"$root/etc/pip.conf" || true
fi
set -- --change "LABEL $inputs_label=$inputs" \
    --change "ENV PATH=/usr/local/bin:/usr/bin:/bin" \
    --change "ENV LANG=C.UTF-8" \
    --change "ENV PIP_CERT=$bundle_inside" \
    --change "ENV REQUESTS_CA_BUNDLE=$bundle_inside" \
    --change "ENV SSL_CERT_FILE=$bundle_inside"
for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT; do
    value=$(printenv "$name" || true)
    [ -z "$value" ] || set -- "$@" --change "ENV $name=\"$value\""
done

say "importing"
# Owners as numbers: the daemon's machine may know other names.
tar --create --numeric-owner --directory "$root" . | docker import "$@" - "$tag" >&2
echo "$tag"
