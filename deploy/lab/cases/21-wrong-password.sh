# An 802.1X device with a wrong password gets the RADIUS server's refusal, and no session.
join sta2 peap-wrong
within 15 seen sta2 1 'CTRL-EVENT-EAP-FAILURE'
within 5 not is_online sta2
leave sta2
within 10 is_gone sta2
not accounted Start alice sta2
