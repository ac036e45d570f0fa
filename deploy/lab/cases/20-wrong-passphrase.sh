# A device that does not know the passphrase is refused, counted, after two attempts blocked, and let in when the block is over
# and it has learnt the passphrase. The matchmaker refuses it everywhere meanwhile, at a binding of the configuration too: nobody answers it.
# Others are not concerned.
blocked() { ctl services -o json | jq -e ".[] | select(.ssid == \"ttg-guests\") | .blocked == $1" >/dev/null; }

join sta2 guests-wrong
for attempt in 1 2; do
	within 15 seen sta2 $attempt 'CTRL-EVENT-SSID-TEMP-DISABLED'
	not is_online sta2
	cli sta2 select_network 0 # wpa_supplicant itself would wait for 10 s and more
done
within 15 blocked 1
leave sta2

join sta2 guests
within 20 seen sta2 2 'SME: Trying to authenticate'
not is_online sta2
join sta1 guests
online sta1
lease sta1
pings sta1 5
leave sta1

within 30 blocked 0
until_online() { cli sta2 select_network 0; online sta2 5 >/dev/null; } # it waits for longer and longer by itself
within 75 until_online # the matchmaker's first refusal lasts a minute
lease sta2
pings sta2 5
leave sta2
