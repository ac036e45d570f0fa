# Devices: a real wpa_supplicant on a real mac80211 in the guest, in the network namespace named like the device.
#
#   join DEVICE NETWORK [LINE...]   starts wpa_supplicant for a network of network_lines, with more configuration LINEs, and with
#                                   $supplicant_lines for the whole of it
#   own_address DEVICE [MAC]        the address that it has before wpa_supplicant starts; unless told, its radio's
#   online DEVICE [SECONDS]         waits until it is connected (default 15 s)
#   leave DEVICE                    ends it (it says good-bye: deauthentication)
#   cli DEVICE WORD...              wpa_cli
#   lease DEVICE                    an address by DHCP, from the network behind the gateway
#   pings DEVICE COUNT [OPTION...]  pings from the device to the network behind the gateway; every single reply is demanded
#   pinged DEVICE COUNT [OPTION...] the other way
#   answered DEVICE                 one ping from the device is answered
#   traffic DEVICE up|down COUNT       50 pings a second from or to the device, in the background
#   traffic_end DEVICE up|down         waits for the last one and demands every reply
#   near DEVICE [1|2...]            brings it near these radios, and away from the others
#   outage FILE                     the longest time between two answers in a file of traffic, in milliseconds
#   radios_reset                    awake, in range, unfragmented, under their own addresses, no supplicant: as cases expect to find them. A capture
#                                   that was under way becomes failed.pcap
#   seen DEVICE COUNT PATTERN       its debug log has at least COUNT lines that match
#   times DEVICE PATTERN            how many it has

mac() { case $1 in sta1) echo 02:00:00:00:01:00 ;; sta2) echo 02:00:00:00:02:00 ;; esac }

network_lines() {
	local tls='identity="%s" ca_cert="/lab/certs/ca.pem" domain_match="aaa.lab.example"'
	case $1 in
	home) echo 'ssid="ttg-home" key_mgmt=WPA-PSK psk="correct horse battery"' ;;
	guests) echo 'ssid="ttg-guests" key_mgmt=WPA-PSK psk="second of two"' ;;
	travel) echo 'ssid="ttg-travel" key_mgmt=WPA-PSK psk="far from home"' ;;
	branches) echo 'ssid="ttg-branches" key_mgmt=WPA-PSK psk="wherever it is"' ;;
	vault) echo 'ssid="ttg-vault" key_mgmt=WPA-PSK psk="neither guess"' ;;
	vault-wrong) echo 'ssid="ttg-vault" key_mgmt=WPA-PSK psk="a first guess"' ;;
	known) echo 'ssid="ttg-known" key_mgmt=WPA-PSK psk="seen before"' ;;
	campus) printf "ssid=\"ttg-campus\" key_mgmt=WPA-EAP eap=PEAP $tls phase2=\"auth=MSCHAPV2\" password=\"alice's password\" proactive_key_caching=1" alice ;;
	guests-wrong) echo 'ssid="ttg-guests" key_mgmt=WPA-PSK psk="neither of them"' ;;
	eap-tls) printf "ssid=\"ttg-office\" key_mgmt=WPA-EAP eap=TLS $tls client_cert=\"/lab/certs/device.pem\" private_key=\"/lab/certs/device.key\"" device-1 ;;
	peap) printf "ssid=\"ttg-office\" key_mgmt=WPA-EAP eap=PEAP $tls phase2=\"auth=MSCHAPV2\" password=\"alice's password\"" alice ;;
	peap-wrong) printf "ssid=\"ttg-office\" key_mgmt=WPA-EAP eap=PEAP $tls phase2=\"auth=MSCHAPV2\" password=\"guessed\"" alice ;;
	ttls) printf "ssid=\"ttg-office\" key_mgmt=WPA-EAP eap=TTLS $tls anonymous_identity=\"anonymous\" phase2=\"auth=PAP\" password=\"bob's password\"" bob ;;
	*) echo "no network '$1'" >&2; return 1 ;;
	esac
}

join() {
	local device=$1 lines
	lines=$(network_lines "$2" | sed -E 's/ ([a-z_0-9]+=)/\n\1/g')
	shift 2
	guest "cat >/tmp/$device.conf <<'CONF'
ctrl_interface=/tmp/wpa-$device
p2p_disabled=1
${supplicant_lines:-}
network={
$lines
proto=RSN
pairwise=CCMP
scan_freq=2437
$(printf '%s\n' "$@")
}
CONF
ip netns exec $device wpa_supplicant -B -P /tmp/supplicant-$device.pid -f /tmp/$device.log -dd -K -t \
	-D nl80211 -i wlan0 -c /tmp/$device.conf"
}

leave() {
	guest_stop "supplicant-$1"
	device_keys "$1"
	guest "ip -n $1 addr flush dev wlan0; cat /tmp/$1.log >>/lab/logs/supplicant-$1; rm -f /tmp/$1.log"
}

radios_reset() {
	local device
	for device in sta1 sta2; do
		leave $device
		own_address $device
	done
	guest 'cd /sys/kernel/debug/ieee80211
		for phy in phy1 phy2; do echo 0 >$phy/hwsim/ps; echo 1 >$phy/hwsim/group; done
		ip netns exec sta1 iw phy phy1 set frag off
		! ip netns exec sta1 iw dev mon1 del 2>/dev/null
		[ ! -s /tmp/air.pid ] || { kill $(cat /tmp/air.pid); rm /tmp/air.pid; cp /tmp/air.pcap /lab/captures/failed.pcap; }'
}

near() {
	local device=$1 radio group=0
	shift
	for radio in "$@"; do group=$((group | 1 << (radio - 1))); done
	# Of no radio's group: the one that nobody is in.
	guest "echo $((group == 0 ? 4 : group)) >/sys/kernel/debug/ieee80211/phy${device#sta}/hwsim/group"
}

own_address() {
	guest "ip -n $1 link set wlan0 down; ip -n $1 link set wlan0 address ${2:-02:00:00:00:0${1#sta}:00}; ip -n $1 link set wlan0 up"
}

cli() {
	local device=$1
	shift
	guest "wpa_cli -p /tmp/wpa-$device -i wlan0 $*" >/dev/null
}

online() {
	guest "i=0
		until wpa_cli -p /tmp/wpa-$1 -i wlan0 status 2>/dev/null | grep -q wpa_state=COMPLETED; do
			i=\$((i + 1)); [ \$i -lt $((${2:-15} * 20)) ] || { echo '$1 is not connected after ${2:-15} s'; exit 1; }
			sleep 0.04
		done"
}

lease() {
	guest "ip netns exec $1 udhcpc -f -n -q -t 10 -T 1 -A 1 -i wlan0 -s /etc/udhcpc/default.script" >>"$work/logs/dhcp-$1" ||
		{ echo "$1 got no address by DHCP"; return 1; }
}

address() { guest "ip -n $1 -4 -o addr show dev wlan0" | sed -nE 's/.* inet ([0-9.]+).*/\1/p'; }

pings() {
	local device=$1 count=$2
	shift 2
	guest "ip netns exec $device ping -q -c $count -i 0.05 -W 2 $* 10.77.0.1" >"$work/ping-$device" || true
	all_answered "$work/ping-$device" "$count" "from $device"
}

pinged() {
	local device=$1 count=$2
	shift 2
	ip netns exec lan ping -q -c "$count" -i 0.05 -W 2 "$@" "$(address "$device")" >"$work/ping-$device" 2>&1 || true
	all_answered "$work/ping-$device" "$count" "to $device"
}

answered() { pings "$1" 1 >/dev/null; }

traffic() {
	local file=$work/traffic-$1-$2 options="-D -c $3 -i 0.02 -W 2"
	rm -f "$file"
	case $2 in
	up) guest "ip netns exec $1 ping $options 10.77.0.1 >/lab/${file##*/} 2>&1 &" ;;
	down) ip netns exec lan ping $options "$(address "$1")" >"$file" 2>&1 & ;;
	esac
	within 5 grep -qs 'bytes from' "$file"
}

traffic_end() {
	local file=$work/traffic-$1-$2
	within 60 grep -q 'packets transmitted' "$file"
	all_answered "$file" "$(sed -n 's/ packets transmitted.*//p' "$file")" "$2 the link of $1"
}

all_answered() { # file count what
	local received
	received=$(sed -nE 's/.* ([0-9]+) received.*/\1/p' "$1")
	[ "${received:-0}" = "$2" ] || {
		echo "${received:-0} of $2 pings $3 were answered:"
		grep -v '^$' "$1" | tail -n 5
		return 1
	}
}

traffic_over() { within "${2:-60}" grep -q 'packets transmitted' "$1"; }

outage() {
	awk -F '[][]' '/bytes from/ { if (last && $2 - last > most) most = $2 - last; last = $2 } END { printf "%d\n", most * 1000 }' "$1"
}

unanswered() { sed -nE 's/^([0-9]+) packets transmitted, ([0-9]+) received.*/\1 \2/p' "$1" | { read -r sent got && echo $((sent - got)); }; }

times() { guest "grep -cE '$2' /tmp/$1.log" || true; }

seen() { [ "$(times "$1" "$3")" -ge "$2" ]; }
