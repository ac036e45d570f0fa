# The whole path from the radio to the network behind the gateway, minus the devices.
#
#   build_binaries             ttg, controlplane, ttgctl, and radio-agent as one static file
#   stack_start, stack_stop    FreeRADIUS, controlplane, ttg, the network "lan" behind it, radio-agent
#   control_start, gateway_start, agent_start   those that cases kill
#   asking_agent_start [2]     instead: a radio that shows what the matchmaker offers; the other radio
#   two_radios, one_radio      from one that shows what is configured to two that ask; and back, with one gateway and no bindings of cases
#   second_gateway_start       another one beside the first, on the same network
#   radio 1|2                  a radio's address
#   of_session DEVICE FIELD    what ttgctl prints there of the device's session
#   ctl WORD...                ttgctl
#   bind SSID CLIENT [RADIO]   shows a service to a device (or *), near a radio (or any)
#   unbind                     takes back what cases and gateways bound
#   sessions DEVICE FILTER     a jq filter over the device's sessions, as ttgctl prints them, is true
#   is_online DEVICE, is_gone DEVICE
#   counter control|ttg NAME   a counter's value
#   nothing_forged             the gateway met no frame with a wrong MIC so far
#   accounted WHAT USER DEVICE FreeRADIUS got an accounting record Start, Interim-Update or Stop

bin=$target/debug
agent_target=x86_64-unknown-linux-gnu

build_binaries() {
	cargo build --quiet -p ttg -p controlplane -p ttgctl &&
		cargo build --quiet -p dataplane --example amsdu || return
	# As it is shipped: small and static. Build scripts and macros are not concerned because a target is named.
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --quiet -p radio-agent --profile agent --target $agent_target
}

stack_start() {
	configure
	backend_open
	radius_start
	control_start
	dhcp_start
	gateway_start
	agent_start
}

stack_stop() {
	guest_stop radio-agent || true
	guest_stop radio-agent-2 || true
	local name
	for name in dnsmasq ttg-2 ttg controlplane freeradius; do stop $name || true; done
	backend_close
	rm -rf "$work/state"
}

ctl() { "$bin/ttgctl" --server http://127.0.0.1:7400 "$@"; }

bind() {
	local service
	service=$(ctl services -o json | jq -r ".[] | select(.ssid == \"$1\") | .uuid")
	ctl bindings add --service "$service" --client "$2" --radio "${3:-*}" >/dev/null
}

unbind() {
	local id
	for id in $(ctl bindings -o json | jq '.[] | select(.origin | startswith("configuration") | not) | .id'); do
		ctl bindings remove "$id" >/dev/null
	done
}

sessions() { ctl sessions -o json | jq -e "[.[] | select(.client == \"$(mac "$1")\")] | $2" >/dev/null; }

is_online() { sessions "$1" 'length == 1 and .[0].state == "online"'; }
is_gone() { sessions "$1" 'length == 0'; }

counter() { # control NAME, or ttg NAME
	case $1 in
	control) ctl stats -o json | jq ".control[\"$2\"] // 0" ;;
	ttg) ctl stats -o json | jq "[.gateways[][\"$2\"] // 0] | add" ;;
	esac
}

nothing_forged() { # whatever a case does, real devices send no frame with a wrong MIC
	[ "$(counter ttg drop_mic_failure)" = 0 ] || {
		echo "the gateway met $(counter ttg drop_mic_failure) frames with a wrong MIC"
		return 1
	}
}

accounted() { # what, user, device: FreeRADIUS has such a record since the case began
	tail -c "+$(($(cat "$work/marks/accounting" 2>/dev/null || echo 0) + 1))" "$work/logs/accounting" 2>/dev/null |
		awk -v RS= -v what="Acct-Status-Type = $1" -v user="User-Name = \"$2\"" -v mac="$(mac "$3" | tr ':a-f' '-A-F')" \
			'index($0, what) && index($0, user) && index(toupper($0), mac) { found = 1 } END { exit !found }'
}

# ---------------------------------------------------------------- the pieces

configure() {
	mkdir -p "$work"/{bin,radius,state}
	cp "$target/$agent_target/agent/radio-agent" "$work/bin/"
	cp "$bin/examples/amsdu" "$work/bin/"
	sed "s|@GATEWAY@|$(gateway_address)|" "$lab/config/radio-agent.toml" >"$work/radio-agent.toml"
	sed "s|@WORK@|$work|" "$lab/config/controlplane.toml" >"$work/controlplane.toml"
	cat "$lab/config/ttg.toml" "$lab/backends/$backend.toml" >"$work/ttg.toml"
	cat "$lab/config/ttg.toml" "$lab/backends/udp.toml" |
		sed 's|ttg-1|ttg-2|; s|:9402|:9403|; s|:5247|:5257|; s|ttg0|ttg1|' >"$work/ttg-2.toml"
}

radius_start() {
	LAB_WORK=$work LAB_CONFIG=$lab/radius start freeradius freeradius -X -d "$lab/radius"
	within 10 grep -qs 'Ready to process requests' "$work/logs/freeradius" || die "FreeRADIUS does not start"
}

control_start() {
	start controlplane "$bin/controlplane" run --config "$work/controlplane.toml"
	within 10 listening 7400 || die "controlplane does not listen"
}

gateway_start() {
	start ttg "$bin/ttg" run --config "$work/ttg.toml"
	backend_join
}

second_gateway_start() {
	start ttg-2 "$bin/ttg" run --config "$work/ttg-2.toml"
	within 10 ip link set ttg1 netns lan 2>/dev/null || die "the second ttg makes no TAP device"
	ip -n lan link set ttg1 master lan0 up
	within 10 attached ttg-2 || die "the second ttg does not attach"
}

attached() { ctl gateways -o json | jq -e "any(.name == \"$1\")" >/dev/null; }

dhcp_start() {
	start dnsmasq ip netns exec lan dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=lan0 \
		--dhcp-range=10.77.0.100,10.77.0.200,1h --dhcp-leasefile="$work/state/leases" --dhcp-authoritative --log-facility=- --log-dhcp
}

agent_start() {
	guest_start radio-agent '/lab/bin/radio-agent --config /lab/radio-agent.toml -v'
	within 10 agent_ready || die "radio-agent's virtual BSSes are not on the air"
}

# The radio has no network of its own: it asks the matchmaker what to show.
asking_agent_start() {
	local key name=radio-agent phy=phy0
	[ "${1:-1}" = 1 ] || name=radio-agent-2 phy=phy4
	key=$(sed -nE 's/.*matchmaker is up.* key=([0-9a-f]{64}).*/\1/p' "$work/logs/controlplane" | tail -n 1)
	sed "s|@PHY@|$phy|; s|@KEY@|$key|" "$lab/config/radio-agent-asks.toml" >"$work/$name-asks.toml"
	: >>"$work/logs/$name"
	local before
	before=$(registrations "$name")
	guest_start "$name" "/lab/bin/radio-agent --config /lab/$name-asks.toml -v"
	within 10 more_registrations "$name" "$before" || die "$name does not register with the matchmaker"
}

two_radios() {
	guest_stop radio-agent
	asking_agent_start 1
	asking_agent_start 2
}

one_radio() { # as cases expect to find it
	unbind
	near sta1 1
	near sta2 1
	guest_stop radio-agent-2
	guest_stop radio-agent
	stop ttg-2
	running ttg || gateway_start
	agent_start
}

registrations() { grep -c 'registered for' "$work/logs/$1" || true; }
more_registrations() { [ "$(registrations "$1")" -gt "$2" ]; }

radio() { case $1 in 1) echo 02:00:00:00:00:00 ;; 2) echo 02:00:00:00:04:00 ;; esac }

of_session() { ctl sessions -o json | jq -r ".[] | select(.client == \"$(mac "$1")\") | .$2"; } # DEVICE FIELD

agent_ready() { [ "$(ctl radios -o json | jq '[.[] | select(.bssid | startswith("02:aa:"))] | length')" = 3 ]; }
