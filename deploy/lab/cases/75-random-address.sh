# A device that scans under addresses it throws away and connects under one that it keeps for this network, which is not its radio's. At home
# anybody may begin, and who proves to know the passphrase is bound. Elsewhere its network is found because the device asks for it by name,
# and is for that address only.
kept=06:4d:f1:20:a7:5e # locally administered, as those are that devices draw
mac() { case $1 in sta1) echo $kept ;; sta2) echo 02:00:00:00:02:00 ;; esac }
is_bound() { ctl bindings -o json | jq -e "any(.client == \"$kept\")" >/dev/null; }
begin() {
	# To wpa_supplicant 2.10 the address that the interface has is the permanent one, and mac_addr=0 is to connect under it.
	own_address sta1 $kept
	supplicant_lines=$'preassoc_mac_addr=1\nrand_addr_lifetime=0' join sta1 known scan_ssid=1 mac_addr=0
}
two_radios
bind ttg-known '*' "$(radio 1)"

begin
online sta1 30
lease sta1
pings sta1 5
within 5 is_bound
leave sta1
within 5 is_gone sta1

# Away from home, where nobody was before.
near sta1 2
near sta2 2
sniff
begin
online sta1 30
lease sta1
pings sta1 5
pinged sta1 5
sessions sta1 '.[0].ssid == "ttg-known"'
# Who asks for the name sees the network too, and is not let in although it knows the passphrase.
join sta2 known scan_ssid=1
within 30 grep -q "$(mac sta2) is not introduced" "$work/logs/radio-agent-2"
not is_online sta2
leave sta2
leave sta1
within 5 is_gone sta1
own_address sta1
sniff_end random-address
air_sound random-address
[ "$(air_count random-address "wlan.fc.type_subtype == 4 && wlan.ta == $kept")" = 0 ]
[ "$(air_count random-address "wlan.fc.type_subtype == 4 && wlan.ta != $(mac sta2) && wlan.ssid == \"ttg-known\"")" -ge 1 ]
[ "$(air_count random-address "wlan.fc.type_subtype == 11 && wlan.ta == $kept")" -ge 1 ]

one_radio
