# Two devices at once, each on a virtual BSS of its own with security of its own, on the same radio.
sniff
join sta1 peap
join sta2 guests
online sta1
online sta2
lease sta1
lease sta2
traffic sta1 up 150
traffic sta2 up 150
traffic sta1 down 150
traffic sta2 down 150
sessions sta1 '.[0].bssid == "02:aa:00:00:00:02"'
sessions sta2 '.[0].bssid == "02:aa:00:00:00:03" and .[0].identity == "second"'
for device in sta1 sta2; do
	traffic_end $device up
	traffic_end $device down
done
leave sta1
within 5 is_gone sta1
pings sta2 5
leave sta2
sniff_end two-networks
air_sound two-networks
