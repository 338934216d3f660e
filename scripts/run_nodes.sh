# A network of producers on this machine, for ./run --nodes. Sourced; expects root, data, port, nodes, kind, and the
# options of `polis node` as arguments.

polis=$root/build/release/bin/polis
# Those who produce are the chain's, not the command's.
if [ -e "$data/producers" ]; then read -r kind members < "$data/producers"; nodes=$(wc -w <<< "$members"); fi
names=(prod ada ben eve fay gus ida jon kim leo mia ned ola)
pids=()
url() { echo "http://polis.localhost:$((port + $1))"; }

# start_node INDEX: each connects to those before it.
start_node() {
  local index=$1 name=${names[$1]} peers=() i; shift
  for ((i = 0; i < index; i++)); do peers+=(--peer "$(url $i)"); done
  [ "$index" -gt 0 ] || peers+=(--boot)
  "$polis" node "$data/$name" --producer "$name" --key "$data/$name.pem" --p2p --host polis.localhost \
    --listen "127.0.0.1:$((port + index))" ${peers[@]+"${peers[@]}"} "$@" > "$data/$name.log" 2>&1 &
  pids+=($!)
}

# wait_for INDEX: until it serves the chain.
wait_for() {
  local tries
  for ((tries = 0; tries < 3000; tries++)); do
    grep -q '^Polis is ready' "$data/${names[$1]}.log" && "$polis" status --url "$(url "$1")/" > /dev/null 2>&1 && return
    kill -0 "${pids[$1]}" 2>/dev/null || { tail -n 20 "$data/${names[$1]}.log" >&2; stop_nodes; die "The node ${names[$1]} has stopped."; }
    sleep 0.1
  done
  stop_nodes; die "The node ${names[$1]} does not come up: see $data/${names[$1]}.log"
}

stop_nodes() { kill "${pids[@]}" 2>/dev/null || true; wait || true; }

# Ctrl-C reaches the nodes as well.
trap : INT
trap stop_nodes TERM
for ((i = 0; i < nodes; i++)); do start_node "$i" "$@"; [ "$i" -gt 0 ] || wait_for 0; done
members=()
for ((i = 0; i < nodes; i++)); do wait_for "$i"; members+=("${names[$i]}=$data/${names[$i]}.pem"); done
if [ ! -e "$data/producers" ]; then
  "$polis" producers "--$kind" --url "$(url 0)/" --sign "$data/prod.pem" "${members[@]}" || { stop_nodes; exit 1; }
  printf '%s\n' "$kind ${names[*]:0:nodes}" > "$data/producers"
fi
say "Polis is ready: $nodes producers ($kind), one network"
for ((i = 0; i < nodes; i++)); do printf '  %-5s %s/   log: %s\n' "${names[$i]}" "$(url $i)" "$data/${names[$i]}.log"; done
if [ -e "$data/prod/first-invitation" ]; then echo "  The first members come in by this invitation: $(cat "$data/prod/first-invitation")"; fi
for pid in "${pids[@]}"; do while kill -0 "$pid" 2>/dev/null; do wait "$pid" || true; done; done
