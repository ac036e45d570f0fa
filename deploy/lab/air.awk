# Checks the table that air_table makes of a capture; prints what is wrong and fails, or prints one line of totals.
#
# Columns: 1 number, 2 type and subtype, 3 retry, 4 protected, 5 transmitter, 6 receiver, 7 sequence number, 8 fragment number,
#          9 packet number, 10 key id, 11 pairwise key that decrypts it, 12 group key that decrypts it, 13 EAPOL type

BEGIN { FS = "\t" }

function wrong(what) {
	errors++
	if (errors <= 10)
		printf "frame %s from %s to %s: %s\n", $1, $5, $6, what
}

{ pair = $5 < $6 ? $5 " " $6 : $6 " " $5 }

$2 == "0x000b" { delete secure[pair]; next } # authentication: a new association begins

$2 ~ /[4567cdef]$/ { next } # null functions have no body to protect

$4 == 0 {
	if ($13 != "" && $6 ~ /^02:aa:/)
		next # wpa_supplicant sends message 4 of a rekey in the clear: to it the new key is derived but not yet installed
	if (pair in secure)
		wrong("in the clear although frames between the two were protected before")
	else if ($13 == "")
		wrong("neither protected nor EAPOL")
	next
}

{
	secure[pair] = 1
	frame = $5 " " $6 " " $7 " " $8 " " $9
	if ($3 == 1 && frame in sent) {
		retransmissions++
		next
	}
	sent[frame] = 1
	total++
	key = $11 $12
	if (key == "") {
		wrong("no key of any device decrypts it")
		next
	}
	keys[key] = 1
	if ((key, $5) in last && $9 <= last[key, $5]) # hexadecimal of one length, so text compares as numbers
		wrong("packet number " $9 " after " last[key, $5] " under the same key")
	last[key, $5] = $9
}

END {
	if (errors > 10)
		printf "and %d more\n", errors - 10
	if (total == 0) {
		print "no protected frame at all"
		errors++
	}
	for (key in keys)
		used++
	printf "%d protected frames under %d keys, %d retransmissions\n", total, used, retransmissions
	exit errors > 0
}
