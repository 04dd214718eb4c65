#!/bin/sh
# Builds the package for the Debian or Ubuntu that this runs on, from the checkout it lies in; into OUT (dist/).
# Needs: dpkg-dev debhelper python3-venv; lintian, where it is there, looks at the result.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${OUT:-$root/dist}
for need in dpkg-buildpackage:dpkg-dev dh:debhelper; do
  command -v "${need%%:*}" >/dev/null || { echo "no ${need%%:*}; apt install ${need##*:}" >&2; exit 3; }
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/gesture-agent
mkdir -p "$tree/tests" "$out"
cd "$root"
cp -R agent engines rules systemd config.toml pyproject.toml README.md CHANGELOG.md LICENSE packaging "$tree/"
cp -R tests/data "$tree/tests/"
find "$tree" -name __pycache__ -prune -exec rm -r {} +
cp -R packaging/debian "$tree/debian"
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' agent/__init__.py)
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-unstable}")
date=$(git log -1 --format=%cD 2>/dev/null || date -R)
cat > "$tree/debian/changelog" <<CHANGES
gesture-agent ($version~$suite) $suite; urgency=medium

  * Version $version; what is new is told in /usr/share/doc/gesture-agent/CHANGELOG.md.

 -- The gesture-agent authors <gesture-agent@users.noreply.github.com>  $date
CHANGES
cd "$tree"
dpkg-buildpackage --build=binary --no-sign --unsigned-changes >"$scratch/log" 2>&1 || { tail -40 "$scratch/log" >&2; exit 1; }
cp ../*.deb "$out/"
ls -1 "$out"/*.deb
command -v lintian >/dev/null && lintian --fail-on error,warning --suppress-tags bad-distribution-in-changes-file ../*.changes
