# A device that guesses the passphrase is refused after two attempts, and then by the matchmaker: at another radio, before another gateway, and
# with the right passphrase too; nobody answers it there. Others are not concerned, and an operator can let it in.
refused_everywhere() { tail -n 100 "$work/logs/controlplane" | grep -q "client refused client=$(mac sta2) .*everywhere=true"; }
gateway_at() { ctl radios -o json | jq -r ".[] | select(.radio == \"$(radio $1)\" and .ssid == \"ttg-vault\") | .gateway"; }
second_gateway_start
two_radios
bind ttg-vault '*'
near sta2 1
near sta1 2

join sta2 vault-wrong
for attempt in 1 2; do
	within 20 seen sta2 $attempt 'CTRL-EVENT-SSID-TEMP-DISABLED'
	not is_online sta2
	cli sta2 select_network 0
done
[ "$(counter control devices_blocked)" -ge 1 ]
within 10 refused_everywhere
guessed=$(gateway_at 1)
leave sta2

# The other radio shows the network, and has the other gateway for it.
near sta2 2
join sta1 vault
online sta1 20
lease sta1
[ "$(gateway_at 2)" != "$guessed" ]
sniff
join sta2 vault
within 20 seen sta2 2 'SME: Trying to authenticate'
within 10 grep -q "$(mac sta2) is not introduced" "$work/logs/radio-agent-2"
not is_online sta2
pings sta1 5
sniff_end brute-force
[ "$(air_count brute-force "wlan.fc.type_subtype == 11 && wlan.ta == $(mac sta2)")" -ge 2 ]
[ "$(air_count brute-force "wlan.fc.type_subtype == 11 && wlan.ra == $(mac sta2)")" = 0 ]

ctl forgive "$(mac sta2)" | grep -q 'may come again$'
until_online() { cli sta2 select_network 0; online sta2 5 >/dev/null; } # the radio, and wpa_supplicant itself, wait for a while
within 30 until_online
lease sta2
pings sta2 5
leave sta2
leave sta1

one_radio
