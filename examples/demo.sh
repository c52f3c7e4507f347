#!/bin/sh
# What `make demo` shows: index an album, name a person, take their photos out, find a lookalike.
# Usage: sh examples/demo.sh FOLDER, where make_sample_album.py has written.
set -eu
cd "$1"

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

show chueok index album || test $? -eq 3 # 3: done, but some photos could not be read; one is broken on purpose
show chueok enroll grace references/grace.jpg
show chueok find grace --copy photos-of-grace --html sheet.html
show chueok find --person references/eileen.jpg --without grace
show chueok lookalike selfie.jpg --gallery gallery --card card.png
printf '\nLook at %s/sheet.html and %s/card.png\n' "$PWD" "$PWD"
