# One device near two radios that both show its network, to nobody else: it goes from one to the other and back under a ping, keeps its
# address, and misses little. The second radio takes its master key from the gateway's cache: there is no second EAP conversation.
two_radios
bind ttg-campus "$(mac sta1)"
near sta1 1 2

away() { # DEVICE up|down: less than a second's pings lost, where nothing else computes 0.1 to 0.25 s. A busy machine emulates slowly.
	local file=$work/traffic-$1-$2
	traffic_over "$file" 30
	echo "$2: $(unanswered "$file") pings lost, $(outage "$file") ms between two answers"
	[ "$(unanswered "$file")" -lt 50 ]
	[ "$(outage "$file")" -lt 2000 ]
}
bsses() { guest "wpa_cli -p /tmp/wpa-sta1 -i wlan0 scan_results" | awk '/ttg-campus/ { print $1 }'; }
both() { cli sta1 scan; [ "$(bsses | wc -l)" = 2 ]; }

sniff
join sta1 campus
online sta1 20
lease sta1
before=$(address sta1)
# Its kernel forgets its neighbours when mac80211 takes the carrier away for a moment, asks too early, and again a second later.
guest "ip -n sta1 neigh replace 10.77.0.1 lladdr $(ip -n lan -j link show lan0 | jq -r '.[0].address') dev wlan0 nud permanent"
first=$(of_session sta1 bssid)
within 20 both
second=$(bsses | grep -v "$first")

for to in "$second" "$first"; do
	traffic sta1 up 250
	traffic sta1 down 250
	cli sta1 roam "$to"
	within 10 sessions sta1 "length == 1 and .[0].bssid == \"$to\" and .[0].state == \"online\""
	away sta1 up
	away sta1 down
done
[ "$(address sta1)" = "$before" ]
[ "$(times sta1 'CTRL-EVENT-EAP-STARTED')" = 1 ]
seen sta1 1 "added opportunistic PMKSA cache entry for $second"
not seen sta1 1 'CTRL-EVENT-DISCONNECTED'
leave sta1
within 5 is_gone sta1
sniff_end roam
air_sound roam
for bssid in "$first" "$second"; do
	[ "$(air_count roam "wlan.fc.type_subtype == 0x28 && wlan.ta == $(mac sta1) && wlan.ra == $bssid")" -ge 20 ]
	[ "$(air_count roam "wlan.fc.type_subtype == 0x28 && wlan.ta == $bssid && wlan.ra == $(mac sta1)")" -ge 20 ]
done

one_radio
