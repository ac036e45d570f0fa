# Frames for a sleeping device wait at the radio, still encrypted: they come one by one when it polls, all when it wakes.
power() { guest "echo $1 >/sys/kernel/debug/ieee80211/phy1/hwsim/ps"; } # 0 awake, 1 asleep and deaf, 3 sends a PS-Poll
answered() { grep -c 'bytes from' "$work/ping-asleep" || true; }
frames() { air_count power-save "wlan.ta == 02:00:00:00:01:00 && $1"; }

sniff
join sta1 home
online sta1
lease sta1
pings sta1 5

power 1
ip netns exec lan ping -c 6 -i 0.1 -W 10 "$(address sta1)" >"$work/ping-asleep" &
sleep 1
[ "$(answered)" = 0 ]
for poll in 1 2; do
	power 3
	within 5 eval '[ "$(answered)" = $poll ]'
	power 1
done
power 0
wait $!
[ "$(answered)" = 6 ]
pings sta1 5
pinged sta1 5

leave sta1
sniff_end power-save
air_sound power-save
[ "$(frames 'wlan.fc.type_subtype == 0x2c || wlan.fc.type_subtype == 0x24 && wlan.fc.pwrmgt == 1')" -ge 1 ]
[ "$(frames 'wlan.fc.type_subtype == 0x1a')" = 2 ]
