# A radio that asks the matchmaker: nothing is on the air while nobody near is bound to anything; a device that is finds its network at
# once, and is introduced to its gateway.
guest_stop radio-agent
asking_agent_start

sniff
join sta2 travel # knows the passphrase, and is not bound
within 20 seen sta2 2 'No suitable network found'
sniff_end silence
[ "$(air_count silence 'wlan.fc.type_subtype == 4')" -ge 2 ] # it asked
[ "$(air_count silence 'wlan.fc.type_subtype == 5 || wlan.fc.type_subtype == 8')" = 0 ]
leave sta2

sniff
join sta1 travel
online sta1 20
lease sta1
pings sta1 10
pinged sta1 10
sessions sta1 '.[0].ssid == "ttg-travel" and .[0].identity == "travel"'
[ "$(counter control introductions)" -ge 1 ]
[ "$(counter ttg drop_keep_alive_proof)" = 0 ]
leave sta1
within 5 is_gone sta1
sniff_end look-up
air_sound look-up
[ "$(air_count look-up 'wlan.fc.type_subtype == 8 && wlan.ssid == "ttg-travel"')" -ge 1 ]

guest_stop radio-agent
agent_start
