#!/bin/bash
# Installs the Debian packages that building, testing or the lab need; says nothing and takes no time when all are there.
#
#   deploy/setup.sh [build|demo|test|bench|aarch64|lab]...      (default: test)
#
# Rust itself (1.95 or newer, with rustfmt and clippy) is not installed here: see README.md.
set -euo pipefail

build=(gcc libc6-dev make pkg-config
	libdpdk-dev libclang1)                                                        # for dataplane/dpdk-sys
network=(iproute2 iputils-ping dnsmasq-base freeradius freeradius-utils openssl)
demo=("${build[@]}" "${network[@]}")
test=("${build[@]}" "${network[@]}" tshark tcpdump util-linux valgrind
	nftables conntrack                                                            # NATs for benches/tests/nat
	postgresql redis-server)                                                      # for controlplane/records, controlplane
bench=("${build[@]}" libipsec-mb-dev libssl-dev redis-server unbound)              # peers to compare with
aarch64=("${build[@]}" gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
lab=("${test[@]}"
	qemu-system-x86 cpio kmod xz-utils zstd                                        # boots the guest
	ethtool                                                                       # backends on veths
	busybox-static iw wireless-regdb wpasupplicant)                               # goes into the guest

die() {
	echo "setup: $*" >&2
	exit 1
}

wanted=()
for group in "${@:-test}"; do
	case $group in
	build | demo | test | bench | aarch64 | lab) declare -n packages=$group && wanted+=("${packages[@]}") ;;
	*) die "no group of packages called '$group'; use build, demo, test, bench, aarch64 or lab" ;;
	esac
done

command -v dpkg-query >/dev/null || die "this is not a Debian system; install by hand what corresponds to: ${wanted[*]}"

missing() { # prints those of the arguments that are not installed
	local installed
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
	printf '%s\n' "$@" | sort -u | grep -vxF -f <(printf '%s\n' "$installed") || true
}

mapfile -t lacking < <(missing "${wanted[@]}")
[ ${#lacking[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || die "apt-get is missing; install by hand: ${lacking[*]}"
[ "$(id -u)" = 0 ] || die "must be root to install ${lacking[*]}; run: sudo deploy/setup.sh ${*:-test}"

log=$(mktemp)
policy=/usr/sbin/policy-rc.d placed=
cleanup() {
	rm -f "$log"
	[ -z "$placed" ] || rm -f "$policy"
}
trap cleanup EXIT

# Packages of daemons would start them. We only want their files.
if [ ! -e $policy ]; then
	placed=yes
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any "$@" </dev/null >>"$log" 2>&1
}
install() { apt install -y --no-install-recommends "${lacking[@]}"; }

echo "setup: installing ${lacking[*]}" >&2
# A machine that was updated lately does not need the package lists again; one that was not will fail once, quickly.
install || { apt update && install; } || {
	cat "$log" >&2
	die "apt-get could not install ${lacking[*]}; its messages are above (no network? a mirror not reachable?)"
}
