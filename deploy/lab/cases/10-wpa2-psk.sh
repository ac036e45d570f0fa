# WPA2-Personal: connects, gets an address, pings both ways, says good-bye; our own decryption agrees with Wireshark's.
sniff
join sta1 home
online sta1
lease sta1
pings sta1 20
pinged sta1 20
within 5 is_online sta1
sessions sta1 ".[0].ssid == \"ttg-home\" and .[0].bssid == \"02:aa:00:00:00:01\" and .[0].identity == \"home\""
within 5 sessions sta1 ".[0].addresses | index(\"$(address sta1)\") != null"
accounted Start home sta1
leave sta1
within 5 is_gone sta1
within 10 accounted Stop home sta1
sniff_end wpa2-psk
air_sound wpa2-psk
ctl decrypt "$work/captures/wpa2-psk.pcap" --ssid ttg-home --passphrase 'correct horse battery' --json | tee "$work/decrypt.json"
jq -e '.decrypted >= 80 and .mic_failures == 0 and .no_key == 0' "$work/decrypt.json" >/dev/null
