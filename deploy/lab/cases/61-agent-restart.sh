# The agent is killed and started again: the device is back without help, whether or not it noticed.
join sta1 home
online sta1
lease sta1
pings sta1 5

guest_stop radio-agent KILL
agent_start
within 20 answered sta1
pings sta1 5

losses=$(times sta1 'CTRL-EVENT-DISCONNECTED')
guest_stop radio-agent TERM
within 20 seen sta1 $((losses + 1)) 'CTRL-EVENT-DISCONNECTED'
[ "$(guest 'iw dev | grep -c "type AP"' || true)" = 0 ]
agent_start
online sta1 20
within 10 answered sta1
pings sta1 5
within 5 is_online sta1
leave sta1
