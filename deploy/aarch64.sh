#!/bin/bash
# Tests the packet path's crypto for aarch64 on an x86-64 Debian, in QEMU's user mode emulation: `make test-aarch64`.
#
# rustup has a standard library for aarch64 (rustup target add aarch64-unknown-linux-gnu); without it, Debian's own compiler is used:
# that takes the foreign architecture arm64, which this script adds and says so.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/setup.sh aarch64
target=aarch64-unknown-linux-gnu
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
	if ! [ -d /usr/lib/rustlib/$target/lib ]; then
		echo "aarch64: rustup has no standard library for $target here; installing Debian's compiler and arm64 library" >&2
		dpkg --print-foreign-architectures | grep -qx arm64 || { dpkg --add-architecture arm64 && apt-get -qq update; }
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends rustc-web libstd-rust-web-dev:arm64 >/dev/null
	fi
	export RUSTC=/usr/bin/rustc
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu max"
# Static: there may be two C libraries for arm64 here, the cross compiler's and the foreign architecture's, and a mixture of them hangs.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static"
# Emulation is slow: optimised, and fewer random cases.
export PROPTEST_CASES=${PROPTEST_CASES:-32}
exec cargo test --release --target $target --target-dir target/aarch64 -p dataplane --test crypto "$@"
