# A device leaves and returns: with a good-bye, with a remembered master key (PMKSA), and after vanishing without a word.
sniff
join sta1 home
online sta1
lease sta1
for time in 1 2 3; do
	cli sta1 disconnect
	within 5 is_gone sta1
	cli sta1 reconnect
	online sta1
	pings sta1 5
done
leave sta1

join sta1 peap
online sta1
lease sta1
cli sta1 disconnect
within 5 is_gone sta1
cli sta1 reconnect
online sta1
pings sta1 5
near sta1 # nothing
leave sta1
is_online sta1 # nobody told
near sta1 1
join sta1 peap
online sta1
lease sta1
pings sta1 5
leave sta1
sniff_end device-returns
air_sound device-returns
