# Control comes back with other terms for a network, SHA-256 beside, while a device keeps its virtual BSS there: the beacon says so in place, the
# device loses no packet, and who wants the new terms gets in at the same virtual BSS.
guest_stop radio-agent
asking_agent_start
bind ttg-branches '*'

sniff
join sta1 branches
online sta1 20
lease sta1
traffic sta1 up 600
stop controlplane KILL
sed '/"ttg-branches"/{n; s/"psk"/"psk-sha256"/}' "$work/controlplane.toml" >"$work/changed.toml"
[ "$(grep -c psk-sha256 "$work/changed.toml")" = 1 ]
start controlplane "$bin/controlplane" run --config "$work/changed.toml"
within 10 listening 7400

join sta2 branches key_mgmt=WPA-PSK-SHA256
online sta2 30
lease sta2
pings sta2 5
[ "$(of_session sta2 bssid)" = "$(of_session sta1 bssid)" ]
within 10 seen sta2 1 'key_mgmt 0x100'
traffic_end sta1 up
seen sta1 1 'CTRL-EVENT-CONNECTED'
not seen sta1 1 'CTRL-EVENT-DISCONNECTED'
leave sta2
leave sta1
sniff_end changed-network
air_sound changed-network
beacons='wlan.fc.type_subtype == 8 && wlan.ssid == "ttg-branches"'
[ "$(air_count changed-network "$beacons && !(wlan.rsn.akms.type == 6)")" -ge 1 ]
[ "$(air_count changed-network "$beacons && wlan.rsn.akms.type == 6")" -ge 1 ]

stop controlplane
control_start
one_radio
