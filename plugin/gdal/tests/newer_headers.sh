#!/bin/sh
# Whether the shim compiles against newer versions of GDAL than the one that is installed: npm's gdal-async carries GDAL's
# source. Needs npm, a network and g++; 45 MB each. Versions may be named: sh newer_headers.sh 3.12.3
set -eu
cd "$(dirname "$0")/../shim"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in ${*:-3.8.5 3.10.2 3.12.3}; do
    (cd "$work" && npm pack --silent "gdal-async@$version" >/dev/null && tar -xzf "gdal-async-$version.tgz" --wildcards '*.h')
    source=$work/package/deps/libgdal
    ${CXX:-g++} -std=c++17 -Wall -Werror -fsyntax-only -I"$source/arch/unix" -I"$source/gdal/gcore/gdal_version_full" \
        -isystem "$source/gdal/port" -isystem "$source/gdal/gcore" -isystem "$source/gdal/ogr" driver.cpp
    grep -q "GDAL_VERSION_MINOR *$(echo "$version" | cut -d. -f2)\$" "$source/gdal/gcore/gdal_version_full/gdal_version.h"
    echo "GDAL $version: the shim compiles"
    rm -rf "$work/package"
done
