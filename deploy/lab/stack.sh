# The whole path from the radio to the network behind the gateway, minus the devices.
#
#   build_binaries             ttg, controlplane, ttgctl, and radio-agent as one static file
#   stack_start, stack_stop    FreeRADIUS, controlplane, ttg, the network "lan" behind it, radio-agent
#   control_start, agent_start the two that cases kill
#   asking_agent_start         instead: a radio that shows what the matchmaker offers
#   ctl WORD...                ttgctl
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
	gateway_start
	agent_start
}

stack_stop() {
	guest_stop radio-agent || true
	local name
	for name in dnsmasq ttg controlplane freeradius; do stop $name || true; done
	backend_close
	rm -rf "$work/state"
}

ctl() { "$bin/ttgctl" --server http://127.0.0.1:7400 "$@"; }

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
	start dnsmasq ip netns exec lan dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=ttg0 \
		--dhcp-range=10.77.0.100,10.77.0.200,1h --dhcp-leasefile="$work/state/leases" --dhcp-authoritative --log-facility=- --log-dhcp
}

agent_start() {
	guest_start radio-agent '/lab/bin/radio-agent --config /lab/radio-agent.toml -v'
	within 10 agent_ready || die "radio-agent's virtual BSSes are not on the air"
}

# The radio has no network of its own: it asks the matchmaker what to show.
asking_agent_start() {
	local key
	key=$(sed -nE 's/.*matchmaker is up.* key=([0-9a-f]{64}).*/\1/p' "$work/logs/controlplane" | tail -n 1)
	sed "s|@GATEWAY@|$(gateway_address)|; s|@KEY@|$key|" "$lab/config/radio-agent-asks.toml" >"$work/radio-agent-asks.toml"
	guest_start radio-agent '/lab/bin/radio-agent --config /lab/radio-agent-asks.toml -v'
	within 10 grep -qs 'registered for' "$work/logs/radio-agent" || die "radio-agent does not register with the matchmaker"
}

agent_ready() { [ "$(ctl radios -o json | jq length)" = 3 ]; }
