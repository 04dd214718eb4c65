#!/bin/sh
# Draws the app's icon and logo again (needs rsvg-convert of librsvg2-bin, and fonts-dejavu-core).
set -eu
cd "$(dirname "$0")"
rsvg-convert --width 128 --height 128 ../../agent/web/static/icon.svg --output gesture_agent/icon.png
rsvg-convert --width 500 --height 200 logo.svg --output gesture_agent/logo.png
