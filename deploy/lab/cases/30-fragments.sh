# The device cuts everything into fragments of 256 octets; the gateway puts it together.
guest 'ip netns exec sta1 iw phy phy1 set frag 256'
defragmented=$(counter ttg defragmented)
sniff
join sta1 home
online sta1
lease sta1
pings sta1 20 -s 1000
within 5 eval '[ "$(counter ttg defragmented)" -ge $((defragmented + 20)) ]'
leave sta1
guest 'ip netns exec sta1 iw phy phy1 set frag off'
sniff_end fragments
air_sound fragments
[ "$(air_count fragments 'wlan.fc.frag == 1 && wlan.ta == 02:00:00:00:01:00')" -ge 80 ]
