# Frames for a sleeping device wait at the radio, still encrypted, and come when it wakes or polls.
sleep_mode() { guest "echo $1 >/sys/kernel/debug/ieee80211/phy1/hwsim/ps"; } # 0 awake, 1 asleep, 2 asleep and polling
answered() { grep -c 'bytes from' "$work/ping-asleep" || true; }

sniff
join sta1 home
online sta1
lease sta1
pings sta1 5

sleep_mode 1
ip netns exec lan ping -c 5 -i 0.1 -W 5 "$(address sta1)" >"$work/ping-asleep" &
sleep 1
[ "$(answered)" = 0 ]
sleep_mode 0
wait $!
[ "$(answered)" = 5 ]

sleep_mode 2
pinged sta1 10 -i 0.3
sleep_mode 0
pings sta1 5

leave sta1
sniff_end power-save
air_sound power-save
[ "$(air_count power-save 'wlan.fc.pwrmgt == 1 && wlan.ta == 02:00:00:00:01:00')" -ge 2 ]
