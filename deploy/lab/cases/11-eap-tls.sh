# WPA2-Enterprise with EAP-TLS against FreeRADIUS: keys from the RADIUS server, accounting from start to stop.
sniff
join sta1 eap-tls
online sta1
lease sta1
pings sta1 20
pinged sta1 20
within 5 is_online sta1
sessions sta1 '.[0].ssid == "ttg-office" and .[0].identity == "device-1"'
within 10 accounted Start device-1 sta1
leave sta1
within 5 is_gone sta1
within 10 accounted Stop device-1 sta1
sniff_end eap-tls
air_sound eap-tls
