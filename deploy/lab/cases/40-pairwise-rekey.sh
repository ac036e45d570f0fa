# Five new pairwise keys under traffic both ways, and not one packet is lost.
sniff
join sta1 home
online sta1
lease sta1
traffic sta1 up 300
traffic sta1 down 300
for key in 2 3 4 5 6; do
	ctl rekey "$(mac sta1)" >/dev/null
	within 5 seen sta1 $key 'WPA: TK - hexdump'
	sleep 0.5
done
traffic_end sta1 up
traffic_end sta1 down
sessions sta1 '.[0].rekeys == 5'
leave sta1
sniff_end pairwise-rekey
air_sound pairwise-rekey
