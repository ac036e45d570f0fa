# What the gateway's two sides are: files in backends/, chosen by $backend.
#
#   backend_names              all of them
#   backend_open               what must be there before the gateway starts
#   backend_join               the gateway's network side, as ttg0 on the bridge lan0 in the namespace "lan"
#   backend_close              takes away what backend_open made
#   gateway_address            where radios send to
#
# udp: the gateway makes a TAP, which goes into "lan". The others are on veths: net0 is the gateway's and ttg0 is lan's; tun0 is the gateway's, an
# IP host of its own there, and tun1 is with the guest on a bridge.

backend_names() { for file in "$lab"/backends/*.toml; do basename "$file" .toml; done; }

gateway_address() { [ "$backend" = udp ] && echo 10.0.2.2 || echo 10.0.2.3; }

backend_open() {
	[ "$backend" != udp ] || return 0
	ip link add net0 type veth peer name ttg0 netns lan
	ip link add tun0 type veth peer name tun1
	local end
	for end in net0 tun0; do
		# The gateway's ends: the kernel shall not speak there.
		echo 1 >/proc/sys/net/ipv6/conf/$end/disable_ipv6
		echo 1 >/proc/sys/net/ipv4/conf/$end/arp_ignore
		ip link set $end up
	done
	# There is no hardware behind a veth to which checksums could be left.
	ip netns exec lan ethtool -K ttg0 tx off gso off tso off txvlan off >/dev/null
	ethtool -K tun1 tx off gso off tso off txvlan off >/dev/null
	ip link set tun1 master br0 up
}

backend_join() {
	[ "$backend" != udp ] || within 10 ip link set ttg0 netns lan 2>/dev/null || die "ttg makes no TAP device"
	ip -n lan link set ttg0 master lan0 up
}

backend_close() {
	[ "$backend" != udp ] || return 0
	ip link del net0 || true
	ip link del tun0 || true
}
