# Three new group keys for two devices of one BSS under traffic, unicast and broadcast, and not one packet is lost.
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
ip netns exec lan ping -b -n -c 81 -i 0.05 -W 2 10.77.0.255 >"$work/broadcast" 2>&1 &
for key in 1 2 3; do
	ctl rekey --service 00000000-0000-4000-8000-000000000001 >/dev/null
	for device in sta1 sta2; do within 5 seen $device $((key + 1)) 'WPA: Group Key - hexdump'; done
	sleep 0.5
done
for device in sta1 sta2; do
	traffic_end $device up
	traffic_end $device down
done
wait $!
for device in sta1 sta2; do
	# ping does not wait for the second device's answer to its last request.
	heard=$(grep "bytes from $(address $device)" "$work/broadcast" | grep -vc icmp_seq=81)
	[ "$heard" = 80 ] || echo "$device answered $heard of 80 broadcasts"
	[ "$heard" = 80 ]
done
leave sta1
leave sta2
sniff_end group-rekey
air_sound group-rekey
groups=$(cut -f 12 "$work/captures/group-rekey.frames" | grep . | sort -u | wc -l)
[ "$groups" = 4 ]
