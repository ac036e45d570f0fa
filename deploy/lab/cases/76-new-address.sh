# A device that draws a new address for each connection too, so that no binding can know it beforehand. At home, where anybody may begin, it gets
# in each time, and whatever address it proved to know the passphrase under is bound.
drawn() { guest "ip -n sta1 -o link show dev wlan0" | sed -nE 's/.* link\/ether ([0-9a-f:]+).*/\1/p'; }
mac() { case $1 in sta1) echo "$now" ;; sta2) echo 02:00:00:00:02:00 ;; esac }
is_bound() { ctl bindings -o json | jq -e "any(.client == \"$1\")" >/dev/null; }
connects() {
	supplicant_lines=$'preassoc_mac_addr=1\nrand_addr_lifetime=0' join sta1 known scan_ssid=1 mac_addr=1
	online sta1 30
	now=$(drawn)
	lease sta1
	pings sta1 5
	is_online sta1
	within 5 is_bound "$now"
}
two_radios
bind ttg-known '*' "$(radio 1)"
sniff

connects
first=$now
leave sta1
within 5 is_gone sta1
connects
[ "$now" != "$first" ]
is_bound "$first"
leave sta1
within 5 is_gone sta1
own_address sta1

sniff_end new-address
air_sound new-address
[ "$(air_count new-address 'wlan.fc.type_subtype == 11 && wlan.ta == 02:00:00:00:01:00')" = 0 ]
[ "$(air_count new-address "wlan.fc.type_subtype == 11 && wlan.ta == $first")" -ge 1 ]
[ "$(air_count new-address "wlan.fc.type_subtype == 11 && wlan.ta == $now")" -ge 1 ]

one_radio
