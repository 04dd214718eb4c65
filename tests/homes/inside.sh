#!/bin/sh
# Runs a program inside the Debian in a folder: inside.sh ROOT PROGRAM [ARGUMENT..]
#
# It shares this machine's network and /tmp; its mounts end with it. Signals reach the program itself.
exec unshare --mount sh -ec '
  root=$1; shift
  mount --bind /proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --rbind -o ro /sys "$root/sys"
  mount --rbind /tmp "$root/tmp"
  for path in /etc/resolv.conf /etc/pip.conf /etc/ssl/certs /usr/share/ca-certificates /usr/local/share/ca-certificates; do
    [ -e "$path" ] || continue # how this machine reaches its package registry
    if [ -d "$path" ]; then mkdir -p "$root$path"; else touch "$root$path"; fi
    mount --bind -o ro "$path" "$root$path"
  done
  exec chroot "$root" "$@"' inside "$@"
