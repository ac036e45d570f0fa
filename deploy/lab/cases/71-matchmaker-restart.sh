# The matchmaker is killed and started again under the traffic of a device that it introduced: no packet is lost, the radio registers again by
# itself, and devices connect by look-up as before, also at the virtual BSS whose tunnel the matchmaker has forgotten.
guest_stop radio-agent
asking_agent_start

bind ttg-branches '*'

sniff
join sta1 branches
online sta1 20
lease sta1
traffic sta1 up 400
traffic sta1 down 400
before=$(registrations radio-agent)
stop controlplane KILL
sleep 1
control_start
within 10 is_online sta1
traffic_end sta1 up
traffic_end sta1 down
seen sta1 1 'CTRL-EVENT-CONNECTED'
not seen sta1 1 'CTRL-EVENT-DISCONNECTED'

# What it was told of radios, gateways and tunnels was in its memory only.
traffic sta1 up 400
join sta2 branches
within 20 more_registrations radio-agent "$before"
online sta2 20
lease sta2
pings sta2 5
sessions sta2 '.[0].ssid == "ttg-branches"'
[ "$(of_session sta2 bssid)" = "$(of_session sta1 bssid)" ]
leave sta2
traffic_end sta1 up

cli sta1 disconnect
within 5 is_gone sta1
cli sta1 reconnect
online sta1 20
pings sta1 5
leave sta1
within 5 is_gone sta1
[ "$(counter control introductions)" -ge 2 ] # since it was started
sniff_end matchmaker-restart
air_sound matchmaker-restart

unbind
guest_stop radio-agent
agent_start
