# Control is killed and started again under traffic: no packet is lost, and then rekey and disassociation still work.
sniff
join sta1 home
online sta1
lease sta1
traffic sta1 up 400
traffic sta1 down 400
stop controlplane KILL
sleep 2
control_start
within 10 is_online sta1
ctl rekey "$(mac sta1)" >/dev/null
within 5 seen sta1 2 'WPA: TK - hexdump'
traffic_end sta1 up
traffic_end sta1 down
seen sta1 1 'CTRL-EVENT-CONNECTED'
not seen sta1 1 'CTRL-EVENT-DISCONNECTED'
ctl disconnect "$(mac sta1)" >/dev/null
within 5 seen sta1 1 'CTRL-EVENT-DISCONNECTED'
leave sta1
sniff_end control-restart
air_sound control-restart
