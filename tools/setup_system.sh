#!/usr/bin/env bash
# Install the system tools named, where they are missing: setup_system.sh COMMAND...
# As root or with passwordless sudo by apt-get; otherwise it says what is missing and goes on.
# With CI=true a tool that stays missing is a failure.
set -euo pipefail

package_of() {
    case $1 in
        qemu-aarch64 | qemu-arm) echo qemu-user ;;
        qemu-system-arm) echo qemu-system-arm ;;
        arm-none-eabi-gcc) echo gcc-arm-none-eabi libnewlib-arm-none-eabi ;;
        llvm-mca-*) echo "llvm-${1#llvm-mca-}" ;;
        gcc) echo gcc libc6-dev ;;
        *) echo "$1" ;;
    esac
}

missing() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || echo "$tool"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

absent=$(missing "$@")
[ -n "$absent" ] || exit 0

packages=$(for tool in $absent; do package_of "$tool"; done | tr ' ' '\n' | sort -u | tr '\n' ' ')
if command -v apt-get >/dev/null && as_root true 2>/dev/null; then
    echo "setup: installing $packages"
    # shellcheck disable=SC2086
    as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null || true
fi

absent=$(missing "$@")
for tool in $absent; do
    echo "setup: $tool is missing; what needs it will be left out (Debian, Ubuntu: apt-get install $(package_of "$tool"))" >&2
done
[ -z "$absent" ] || [ "${CI:-}" != true ]
