# Two MSDUs in one A-MSDU from the device are both delivered and answered; an ordinary frame with the A-MSDU bit set is dropped.
inject() { # what
	guest "ip netns exec sta1 /lab/bin/amsdu mon1 $(tail -n 1 "$work/captures/keys") 02:aa:00:00:00:01 $(mac sta1) $(address sta1) \
		$(ip -n lan -j link show lan0 | jq -r '.[0].address') 10.77.0.1 $*"
}
replies() { tshark -r "$work/captures/lan.pcap" -Y "icmp.type == $1 && icmp.ident == 0x5454" 2>/dev/null | wc -l; }

join sta1 home
online sta1
lease sta1
pings sta1 5
sniff
guest "sed -nE 's/.*WPA: TK - hexdump\(len=16\): //p' /tmp/sta1.log | tr -d ' '" >"$work/captures/keys"
guest 'ip netns exec sta1 iw dev wlan0 interface add mon1 type monitor; ip -n sta1 link set mon1 up'
start lan ip netns exec lan tcpdump -Z root -i lan0 -U --immediate-mode -s 2500 -w "$work/captures/lan.pcap" icmp
within 5 grep -qs 'listening on' "$work/logs/lan"
disguised=$(counter ttg drop_amsdu_disguise)

inject
within 5 eval '[ "$(replies 0)" = 2 ]'
pings sta1 5
inject disguised
pings sta1 5
[ "$(replies 8)" = 2 ]
within 5 eval '[ "$(counter ttg drop_amsdu_disguise)" = $((disguised + 1)) ]'
stop lan INT
guest 'ip netns exec sta1 iw dev mon1 del'
leave sta1
sniff_end aggregates
[ "$(air_count aggregates 'wlan.qos.amsdupresent == 1 && wlan.fc.protected == 1')" = 2 ]
