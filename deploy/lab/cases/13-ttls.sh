# WPA2-Enterprise with EAP-TTLS/PAP against FreeRADIUS: keys from the RADIUS server, accounting from start to stop.
sniff
join sta1 ttls
online sta1
lease sta1
pings sta1 20
pinged sta1 20
within 5 is_online sta1
sessions sta1 '.[0].ssid == "ttg-office" and .[0].identity == "anonymous"'
within 10 accounted Start anonymous sta1
leave sta1
within 5 is_gone sta1
within 10 accounted Stop anonymous sta1
sniff_end ttls
air_sound ttls
