#!/usr/bin/env bash
# Rejects an include of a room that the including room may not know. Usage: check_layers.sh ROOT
set -u
cd "$1/src" || exit 1
bad=0
check() { # room, allowed rooms…
  local room=$1; shift
  [ -d "$room" ] || return 0
  local allowed=" $room $* "
  while IFS=: read -r file line text; do
    local target=${text#*\"}; target=${target%%/*}
    [ -d "$target" ] || continue
    case "$allowed" in *" $target "*) ;; *)
      echo "src/$file:$line: $room may not include $target" >&2; bad=1;;
    esac
  done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[a-z_]+/' --include='*.hpp' --include='*.cpp' --include='*.def' "$room")
}
check base
check format base
check store base
check vm base
check kernel base format store vm
check consensus base format
check peer base format consensus
check http base format
# node and cli may include everything.
exit $bad
