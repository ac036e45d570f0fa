# Packets of 1500 octets cross a backhaul of 1500 octets: as CAPWAP fragments (RFC 5415 section 3.4), never as IP fragments.
datagrams() { tshark -r "$work/captures/backhaul.pcap" -o capwap.swap_fc:FALSE -Y "$1" 2>/dev/null | wc -l; }

join sta1 home
online sta1
lease sta1
backhaul
pings sta1 20 -s 1472 -M do
pinged sta1 20 -s 1472 -M do
backhaul_end
leave sta1
[ "$(datagrams 'capwap.header.flags.f == 1 && ip.src == 10.0.2.15')" -ge 80 ]
[ "$(datagrams 'capwap.header.flags.f == 1 && ip.src == '"$(gateway_address)")" -ge 80 ]
[ "$(datagrams 'ip.flags.mf == 1 || ip.frag_offset > 0')" = 0 ]
[ "$(datagrams '_ws.malformed')" = 0 ]
