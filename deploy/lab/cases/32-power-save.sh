# Frames for a sleeping device wait at the radio, still encrypted, and come when the beacon has called it, when it polls or wakes.
power() { guest "echo $1 >/sys/kernel/debug/ieee80211/phy1/hwsim/ps"; } # 0 awake, 1 asleep and deaf, 3 a PS-Poll
answered() { grep -c 'bytes from' "$work/ping-asleep" || true; }
frames() { air_count power-save "$1"; }
power_save() { guest "ip netns exec sta1 iw dev wlan0 set power_save $1"; }

sniff
join sta1 home
online sta1
lease sta1
pings sta1 5

# The kernel's own power saving: it wakes for the beacons whose TIM names it.
power_save on
pinged sta1 8 -i 0.4
ip netns exec lan ping -q -b -c 8 -i 0.4 -W 2 10.77.0.255 >"$work/ping-broadcast" 2>&1
all_answered "$work/ping-broadcast" 8 "to all"
power_save off

power 1
ip netns exec lan ping -c 6 -i 0.1 -W 3 "$(address sta1)" >"$work/ping-asleep" &
sleep 1
[ "$(answered)" = 0 ]
power 3
power 0
wait $!
[ "$(answered)" -ge 5 ] # the simulated radio is deaf even to the frame that it polled for
pings sta1 5
pinged sta1 5

leave sta1
sniff_end power-save
air_sound power-save
[ "$(frames 'wlan.fc.type == 2 && wlan.fc.pwrmgt == 1 && wlan.ta == 02:00:00:00:01:00')" -ge 8 ]
[ "$(frames 'wlan.tim.partial_virtual_bitmap != 00')" -ge 8 ]
[ "$(frames 'wlan.fc.type_subtype == 0x1a')" = 1 ]
[ "$(frames 'wlan.fc.moredata == 1 && wlan.fc.type == 2 && wlan.ra == 02:00:00:00:01:00')" -ge 1 ]
