# What went over the air and over the backhaul, and what must be true of it.
#
#   sniff / sniff_end NAME     captures on the third radio (monitor mode) into $work/captures/NAME.pcap
#   backhaul / backhaul_end    captures the tunnels' datagrams into $work/captures/backhaul.pcap
#   air_sound CAPTURE          the rules that hold for every capture (below); prints what breaks them
#   air_count CAPTURE FILTER   frames that match a tshark display filter
#
# The rules, for each pair of transmitter and receiver, both directions:
#  * packet numbers under one key rise strictly from frame to frame (802.11-2020 section 12.5.3.3). A retransmission (Retry set,
#    same sequence, fragment and packet number) is not a new frame. Every frame is under a key that a device has.
#  * once a frame was protected, every later frame with a body is, until a new authentication; before it, only EAPOL is in the clear.
#    (From devices EAPOL may always be: wpa_supplicant sends message 4 of a rekey so.)

sniff() {
	: >"$work/captures/keys"
	guest "rm -f /tmp/air.pcap; : >/tmp/tcpdump.err
		ip netns exec air tcpdump -Z root -i mon0 -U --immediate-mode -s 2500 -B 4096 -w /tmp/air.pcap >/tmp/tcpdump.err 2>&1 & echo \$! >/tmp/air.pid
		until grep -q 'listening on' /tmp/tcpdump.err; do sleep 0.02; done"
}

sniff_end() {
	sleep 0.2 # what was captured and not yet written would be lost
	guest_stop air INT
	device_keys sta1
	device_keys sta2
	guest "cp /tmp/air.pcap /lab/captures/$1.pcap; ! grep -E '^[1-9][0-9]* packets dropped' /tmp/tcpdump.err"
}

backhaul() {
	start backhaul tcpdump -Z root -i vm0 -U --immediate-mode -s 2500 -w "$work/captures/backhaul.pcap" 'udp port 5247 or ip[6:2] & 0x3fff != 0'
	within 5 grep -qs 'listening on' "$work/logs/backhaul"
}

backhaul_end() {
	sleep 0.2
	stop backhaul INT
}

air_sound() {
	air_table "$1" >"$work/captures/$1.frames"
	awk -f "$lab/air.awk" "$work/captures/$1.frames"
}

air_count() { tshark -r "$work/captures/$1.pcap" -Y "$2" 2>/dev/null | wc -l; }

# ---------------------------------------------------------------- the table that air.awk reads, one frame a line

air_fields=(frame.number wlan.fc.type_subtype wlan.fc.retry wlan.fc.protected wlan.ta wlan.ra wlan.seq wlan.frag wlan.ccmp.extiv
	wlan.wep.key wlan.analysis.tk wlan.analysis.gtk eapol.type)

air_table() { # capture
	local field key options=(-o wlan.enable_decryption:TRUE)
	for key in $(sort -u "$work/captures/keys"); do options+=(-o "uat:80211_keys:\"tk\",\"$key\""); done
	for field in "${air_fields[@]}"; do options+=(-e "$field"); done
	tshark -r "$work/captures/$1.pcap" -Y 'wlan.fc.type == 2 || wlan.fc.type_subtype == 11' -T fields "${options[@]}" 2>/dev/null
}

# The keys come from the devices, not from the gateway: what they can decrypt is what really was under their keys.
device_keys() { # device
	guest "sed -nE 's/.*WPA: (TK|Group Key) - hexdump\(len=16\): //p' /tmp/$1.log 2>/dev/null | tr -d ' '" >>"$work/captures/keys"
}
