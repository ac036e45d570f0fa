# Two gateways share a service, one device on each. One is killed: its device is back through the other in less than three seconds, and the
# other's device misses nothing.
second_gateway_start
two_radios
bind ttg-branches '*'
near sta1 1
near sta2 2

sniff
join sta1 branches
join sta2 branches
online sta1 20
online sta2 20
lease sta1
lease sta2
before=$(address sta1)
process() { [ "$1" = ttg-1 ] && echo ttg || echo "$1"; }
killed=$(of_session sta1 gateway)
other=$(of_session sta2 gateway)
[ "$killed" != "$other" ]

traffic sta1 up 400
traffic sta2 up 400
traffic sta2 down 400
stop "$(process "$killed")" KILL
within 20 sessions sta1 ".[0].gateway == \"$other\" and .[0].state == \"online\""
traffic_over "$work/traffic-sta1-up"
traffic_end sta2 up
traffic_end sta2 down
# From the last answer before the gateway was killed to the first one afterwards.
echo "back after $(outage "$work/traffic-sta1-up") ms"
[ "$(outage "$work/traffic-sta1-up")" -lt 3000 ]
pings sta1 10
pinged sta1 10
[ "$(address sta1)" = "$before" ]
not seen sta2 1 'CTRL-EVENT-DISCONNECTED'
[ "$(of_session sta2 gateway)" = "$other" ]
leave sta1
leave sta2
sniff_end gateway-killed
air_sound gateway-killed

one_radio
