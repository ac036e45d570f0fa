# In all of that the gateway met no frame with a wrong MIC: what real devices send, it opens.
[ "$(counter ttg drop_mic_failure)" = 0 ]
[ "$(counter ttg ccmp_opened)" -gt 1000 ]
