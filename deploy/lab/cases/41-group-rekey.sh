# Three new group keys for two devices of one BSS under traffic, and not one packet is lost.
sniff
for device in sta1 sta2; do
	join $device home
	online $device
	lease $device
done
for device in sta1 sta2; do
	traffic $device up 200
	traffic $device down 200
done
for key in 1 2 3; do
	ctl rekey --service 00000000-0000-4000-8000-000000000001 >/dev/null
	for device in sta1 sta2; do within 5 seen $device $((key + 1)) 'WPA: Group Key - hexdump'; done
	sleep 0.5
done
for device in sta1 sta2; do
	traffic_end $device up
	traffic_end $device down
done
leave sta1
leave sta2
sniff_end group-rekey
air_sound group-rekey
